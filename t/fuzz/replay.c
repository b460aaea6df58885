/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For builds without libFuzzer: gives a target the files that are named, or else its corpus,
 * $DJS_SRC/t/fuzz/corpus/NAME. TAP, one line a file.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In memory of just its length, so that sanitizers see a look beyond. */
static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    long size;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        return 0;
    }
    size = ftell(file);
    rewind(file);
    data = malloc((size_t)size);
    if (size > 0 && (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size)) {
        perror(path);
        return 0;
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 1;
}

static int count;

static int replay_and_tell(const char *path)
{
    const int ok = replay(path);
    const char *slash = strrchr(path, '/');

    printf("%s %d - %s\n", ok ? "ok" : "not ok", ++count, slash != NULL ? slash + 1 : path);
    fflush(stdout);
    return ok;
}

static int replay_corpus(const char *dir)
{
    DIR *entries = opendir(dir);
    const struct dirent *entry;
    int ok = 1;

    if (entries == NULL || chdir(dir) != 0) {
        perror(dir);
        return 0;
    }
    while ((entry = readdir(entries)) != NULL) {
        if (entry->d_name[0] != '.') {
            ok &= replay_and_tell(entry->d_name);
        }
    }
    closedir(entries);
    return ok;
}

int main(int argc, char **argv)
{
    const char *source = getenv("DJS_SRC");
    const char *name = strstr(argv[0], "fuzz_");
    char dir[4096];
    int i, ok = 1;

    while (name != NULL && strstr(name + 1, "fuzz_") != NULL) {
        name = strstr(name + 1, "fuzz_");
    }
    if (argc == 1 && (source == NULL || name == NULL)) {
        fprintf(stderr, "usage: DJS_SRC=DIR fuzz_NAME, or fuzz_NAME FILE...\n");
        return 2;
    }
    for (i = 1; i < argc; i++) {
        ok &= replay_and_tell(argv[i]);
    }
    if (argc == 1) {
        snprintf(dir, sizeof(dir), "%s/t/fuzz/corpus/%s", source, name + strlen("fuzz_"));
        ok = replay_corpus(dir);
    }
    printf("1..%d\n", count);
    return ok && count > 0 ? 0 : 1;
}
