/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time zones from the system's data (TZif, RFC 8536): what a zone's clocks show at an instant.
 */
#ifndef DJS_ZONE_H
#define DJS_ZONE_H

#include "../core/moment.h"

/**
 * @param name  IANA name ("Europe/Paris"); NULL: the system's zone
 * @return APR_SUCCESS; DJS_EINVAL: no such zone, or its file is not to be understood
 */
apr_status_t djs_zone_open(djs_ctx_t *ctx, apr_pool_t *pool, const char *name,
                           const djs_zone_t **zone) DJS_MUST_CHECK;

/**
 * The same from the bytes of a TZif file, which may be hostile. Borrows nothing of them.
 * DJS_EFORMAT: not to be understood.
 *
 * @param name  NULL: it has none
 */
apr_status_t djs_zone_parse(djs_ctx_t *ctx, apr_pool_t *pool, const char *name, djs_bytes_t file,
                            const djs_zone_t **zone) DJS_MUST_CHECK;

#endif
