/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of a connection, for fuzz targets: what a server says is a script, and client
 * libraries that connect to the unix socket PEER_PATH are connected with it. All in one thread, with
 * neither a server nor a clock: it speaks when it is waited for.
 *
 * This program's connect() and poll() stand in for the C library's; the loader gives them to the
 * libraries, too.
 *
 *     script = [ "~f" ] stage *( mark stage )
 *     mark   = LF "~w"     what follows is said when the client waits again
 *            | LF "~c"     no more on this connection; what follows is for the next
 *            | LF "~f"     the same, and on the next connection it is said at once: the server does not
 *                          want us, and hears nothing of what we send
 *
 * A mark's LF is the end of what is before it. At the end of the script the last connection ends, and
 * no other is accepted.
 */
#ifndef PEER_H
#define PEER_H

#include "djs.h"

#define PEER_PATH "/no/where/peer"

/** What is said instead of @a stage to who has said @a request last (its first 100 bytes). */
typedef djs_bytes_t (*peer_filter_fn)(djs_bytes_t request, djs_bytes_t stage);

/**
 * From now on; what was connected before is cut. @a script is borrowed.
 * @param filter  NULL: stages are said as they are
 * @return the stages without the marks, in @a pool
 */
djs_bytes_t peer_begin(apr_pool_t *pool, djs_bytes_t script, peer_filter_fn filter);

/** Nothing can be connected any more; what is, is cut. */
void peer_end(void);

#endif
