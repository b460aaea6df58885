/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine file: Django's file sessions. What lies in the directory, and how it is changed, is told
 * in engine_file.c.
 */
#ifndef ENGINE_FILE_H
#define ENGINE_FILE_H

#include "../core/session.h"

/**
 * Open the engine on the directory of DjangoSessionFilePath. Looks at no file: the directory may
 * come later. All three are borrowed and must live as long as @a pool.
 *
 * @param zone  of a site without USE_TZ; NULL: with
 * @param wire  of what is in the files; clear_expired and list look inside
 * @return APR_SUCCESS; DJS_EINVAL: there is no such setting, or it is no absolute path
 */
apr_status_t djs_engine_file_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                                  const djs_zone_t *zone, const djs_wire_t *wire,
                                  djs_engine_t **engine) DJS_MUST_CHECK;

/**
 * The same directory as a section sees it, whose cookie may have another name, and files with it, or
 * another age.
 */
djs_engine_t *djs_engine_file_view(apr_pool_t *pool, const djs_engine_t *engine,
                                   const djs_settings_t *settings);

#endif
