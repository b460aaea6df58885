/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See measure.h. APR's allocator takes its memory by mmap() or by malloc(), as it was built. Of the
 * first this program has its own, which counts, and which the loader gives to the libraries, too; the
 * C library's malloc() and the sanitizers' do not come by here.
 */
#include "measure.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <apr_allocator.h>

/* Not by <sys/mman.h>, which may give the name to another function, for large files. */
void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int munmap(void *at, size_t len);

static size_t mapped;

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    const long result = syscall(SYS_mmap, at, len, protection, flags, fd, offset);

    if (result != -1) {
        __atomic_add_fetch(&mapped, len, __ATOMIC_RELAXED);
    }
    return (void *)result;
}

int munmap(void *at, size_t len)
{
    const long result = syscall(SYS_munmap, at, len);

    if (result == 0) {
        __atomic_sub_fetch(&mapped, len, __ATOMIC_RELAXED);
    }
    return (int)result;
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

/* What is allocated now, by whichever allocator there is. */
static size_t allocated(void)
{
    const size_t now = __atomic_load_n(&mapped, __ATOMIC_RELAXED);
    struct mallinfo2 info;

    if (__sanitizer_get_current_allocated_bytes != NULL) {
        return now + __sanitizer_get_current_allocated_bytes();
    }
    info = mallinfo2();
    return now + info.uordblks + info.hblkhd;
}

static void must(int true_now, const char *what)
{
    if (!true_now) {
        fprintf(stderr, "measure: %s\n", what);
        abort();
    }
}

apr_size_t measure_memory(measured_fn run, djs_bytes_t bytes, void *baton)
{
    const size_t before = allocated();
    djs_ctx_t ctx = { .now = APR_INT64_C(1735689600) * APR_USEC_PER_SEC };
    apr_allocator_t *allocator;
    size_t taken;

    must(apr_allocator_create(&allocator) == APR_SUCCESS &&
             apr_pool_create_ex(&ctx.pool, NULL, NULL, allocator) == APR_SUCCESS,
         "no pool");
    apr_allocator_owner_set(allocator, ctx.pool);
    run(&ctx, bytes, baton);
    taken = allocated() - before;
    must(taken >= 4096, "how APR takes memory is not counted"); /* the pool alone has more */
    apr_pool_destroy(ctx.pool);
    return taken;
}

static void look_into_items(const djs_value_t *container)
{
    djs_value_t *item;
    djs_bytes_t key;
    apr_size_t i;

    if (djs_value_type(container) == DJS_TYPE_LIST || djs_value_type(container) == DJS_TYPE_TUPLE) {
        for (i = 0; (item = djs_value_at(container, i)) != NULL; i++) {
            look_everywhere(item);
        }
        return;
    }
    for (i = 0; djs_value_member(container, i, &key, &item); i++) {
        look_everywhere(item);
    }
}

void look_everywhere(const djs_value_t *value)
{
    apr_int64_t number;
    djs_bytes_t text;

    switch (djs_value_type(value)) {
    case DJS_TYPE_INT:
        (void)djs_value_int64(value, &number);
        break;
    case DJS_TYPE_FLOAT:
        (void)djs_value_float(value);
        break;
    case DJS_TYPE_STR:
    case DJS_TYPE_BYTES:
    case DJS_TYPE_BYTEARRAY:
        text = djs_value_str(value);
        must(text.data[text.len] == '\0', "a text without its NUL");
        break;
    case DJS_TYPE_LIST:
    case DJS_TYPE_TUPLE:
    case DJS_TYPE_DICT:
    case DJS_TYPE_SET:
    case DJS_TYPE_FROZENSET:
        look_into_items(value);
        break;
    default:
        break;
    }
}

static djs_value_t *item_of(const djs_value_t *container, apr_size_t i)
{
    djs_value_t *item = NULL;
    djs_bytes_t key;

    if (djs_value_type(container) == DJS_TYPE_LIST || djs_value_type(container) == DJS_TYPE_TUPLE) {
        return djs_value_at(container, i);
    }
    (void)djs_value_member(container, i, &key, &item);
    return item;
}

static int is_container(const djs_value_t *value)
{
    switch (djs_value_type(value)) {
    case DJS_TYPE_LIST:
    case DJS_TYPE_TUPLE:
    case DJS_TYPE_DICT:
    case DJS_TYPE_SET:
    case DJS_TYPE_FROZENSET:
        return 1;
    default:
        return 0;
    }
}

void look_around(const djs_value_t *value, apr_uint32_t *chance)
{
    const int backwards = (*chance & 1) != 0;
    apr_size_t i, count;

    if (!is_container(value)) {
        look_everywhere(value);
        return;
    }
    count = djs_value_len(value);
    for (i = 0; i < count; i++) {
        *chance = *chance * 1103515245u + 12345u;
        if ((*chance >> 16 & 3) != 0) {
            look_around(item_of(value, backwards ? count - 1 - i : i), chance);
        }
    }
}
