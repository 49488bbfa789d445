/**
 * Every bound of the runtime and its default, each with the reason for its value.
 *
 * Nothing here reads options: `engine.ts` and the adapters take theirs from these.
 */

/**
 * Bytes of a write's body, which is held in memory while the write waits its turn. Large
 * enough for forms, JSON and small images; what is larger should be streamed to a file.
 */
export const BODY_BYTES_MAX: number = 4 * 1024 * 1024;

/**
 * Writes that may wait for the writer. At 10,000 writes a second a full queue is a fifth
 * of a second: more would only turn overload into latency.
 */
export const WRITE_QUEUE_MAX: number = 2048;

/**
 * Bytes of a request's URL, as the handler sees it. Servers should take 8000 of a target (RFC 9110,
 * section 4.1); proxies and browsers commonly end near there.
 */
export const URL_BYTES_MAX: number = 8 * 1024;

/** Bytes of a request's header, request line and all: what Node and Bun allow by themselves. */
export const HEADER_BYTES_MAX: number = 16 * 1024;

/**
 * Milliseconds until the header of a request has arrived, on a new connection from its beginning. It
 * is one packet or a few; Bun allows as much by itself, and nothing else.
 */
export const HEADER_TIMEOUT_MS: number = 10_000;

/**
 * Milliseconds that a body may keep its reader waiting, for each stretch of {@linkcode BODY_PACE_BYTES}
 * of it. Together they are 17 KB/s: a slow telephone's, and more than it is worth to hold up a server.
 */
export const BODY_TIMEOUT_MS: number = 60_000;

/** The bytes of a body that share one time limit. */
export const BODY_PACE_BYTES: number = 1024 * 1024;

/**
 * Milliseconds that a connection may be idle between two requests. Proxies commonly keep theirs for
 * 60 s: this is longer, so that it is they who close, and none sends a request into a close.
 */
export const IDLE_TIMEOUT_MS: number = 75_000;

/** Connections at a time. An idle one takes some 10 KB: 100 MB in all. */
export const CONNECTIONS_MAX: number = 10_000;

/**
 * Requests whose handlers have not answered: twice what may wait to write, so that bodies on their
 * way and slow reads have room beside a full queue.
 */
export const REQUESTS_MAX: number = 2 * WRITE_QUEUE_MAX;

/** Milliseconds a handler may take: what proxies and browsers commonly wait for. */
export const REQUEST_TIMEOUT_MS: number = 60_000;

/**
 * Bytes of commits that may wait for the disk before the writer pauses. It bounds memory
 * when the disk stalls; at 100 MB/s it is two thirds of a second of disk time.
 */
export const PENDING_BYTES_MAX: number = 64 * 1024 * 1024;

/** Bytes of the events of one commit: FORMAT's `commitBytesMax`. */
export const COMMIT_BYTES_MAX: number = 16 * 1024 * 1024;

/**
 * Bytes of one flush of a file log: what is written between two syncs, unless one commit
 * alone is larger. It bounds what a failed sync leaves in doubt, and so what the next
 * start must write again.
 */
export const FLUSH_BYTES_MAX: number = 8 * 1024 * 1024;

/** Bytes read at a time in a replay: past this, larger reads are no faster. */
export const READ_BYTES: number = 1024 * 1024;

/** Bytes read at a time at least, where a smaller buffer would do: the file may grow. */
export const SMALL_READ_BYTES: number = 16 * 1024;

/**
 * Bytes read at a time where commits are read in small stretches, here and there: about twice
 * what is asked for and what must be passed over to get there.
 */
export const COMMIT_READ_BYTES: number = 128 * 1024;

/**
 * Readers of commits that are kept with their place, for those who read on where they were: one
 * for each of a few scans that take turns.
 */
export const COMMIT_READERS_MAX: number = 4;

/**
 * Passes over the log in which a replay looks for bad events. In place each of them costs one; an
 * `updateModel` that throws on more than this is mended sooner than its log is read.
 */
export const REPLAY_PASSES_MAX: number = 100;

/**
 * Commits that may be left out because of bad events. Their sequences are kept in memory, a few
 * megabytes; whoever has more of them has most likely opened another application's log.
 */
export const SKIPPED_COMMITS_MAX: number = 100_000;

/**
 * Bytes of log after which a new snapshot is made. To replay so many, in small JSON events, takes
 * two to three seconds: about as long as a start may take, and longer than one from a snapshot of a
 * million entries.
 */
export const SNAPSHOT_LOG_BYTES: number = 256 * 1024 * 1024;

/** Milliseconds after which a snapshot that could not be made is tried again, at first and at most. */
export const SNAPSHOT_RETRY_MS: number = 60_000;
export const SNAPSHOT_RETRY_MS_MAX: number = 3_600_000;

/** Reads that may wait while an in-place model is rebuilt: as many as writes. */
export const HELD_READS_MAX: number = WRITE_QUEUE_MAX;

/** Milliseconds a read may wait while an in-place model is rebuilt. */
export const HELD_READ_MS: number = 10_000;

/**
 * Bytes of commits that are read at once for those who follow the log: a few hundred commits,
 * and much less time to read and decode than a turn of the event loop may take.
 */
export const CHANGE_BLOCK_BYTES: number = 64 * 1024;

/** Commits in such a block, about: small ones become objects many times their size. */
export const CHANGE_BLOCK_COMMITS: number = 1024;

/**
 * Bytes of such blocks that are kept for whoever comes by next. Those who follow at the same
 * pace are less than a block apart: this is for those who do not. A thousand of those read half
 * as much as with a quarter of this.
 */
export const CHANGE_CACHE_BYTES: number = 8 * 1024 * 1024;

/**
 * Bytes of such blocks that consumers may hold on to while they work on a commit. Beyond that,
 * who takes longer than a turn of the event loop gives its block back, and it is read again.
 */
export const CHANGE_HELD_BYTES: number = 64 * 1024 * 1024;

/**
 * Bytes of the newest commits that are kept while somebody follows the log: what a consumer
 * may be behind without a look at the disk. At 10,000 small commits a second, half a second.
 */
export const LIVE_CHANGES_BYTES: number = 1024 * 1024;

/**
 * Commits that are handed out to all consumers in one turn of the event loop, so that requests
 * come between: a tenth of a millisecond, and what consumers do with them.
 */
export const CHANGES_PER_TURN_MAX: number = 256;

/**
 * Milliseconds that a consumer may leave a commit lying: as long as a request may take. One
 * that is gone, or waits for a dead peer, holds a block of commits for no longer.
 */
export const CONSUMER_STALL_MS: number = 60_000;

/**
 * Bytes of a file that are read at a time for its answer: the whole of most files that pages are
 * made of, and what a client that takes a large one holds in memory.
 */
export const FILE_CHUNK_BYTES: number = 64 * 1024;

/**
 * Milliseconds after a change of a file at which the times that the file system keeps tell it from
 * any later change. Some keep whole seconds, or show no more than that.
 */
export const FILE_SETTLED_MS: number = 2000;

/** Seconds in `Retry-After`, and between two looks whether a full disk has room again. */
export const RETRY_AFTER_S: number = 1;

/**
 * Turns of the event loop in which answers that were handed to a server may still be told of as
 * sent when the engine closes: a server that has stopped knows of all of them.
 */
export const FINISH_TURNS: number = 20;

/** Milliseconds that exchanges in flight get when a server stops. */
export const STOP_GRACE_MS: number = 10_000;

/**
 * Milliseconds in which the body of a request to a pool must arrive, and in which its answer must be
 * taken: as long as its worker may take for it.
 */
export const POOL_TRANSFER_MS: number = 60_000;

/** Bytes of a message between a pool and its workers: what its size, an int32, can say. */
export const PACKET_BYTES_MAX: number = 2 ** 31 - 1;

/**
 * Header names in a message, and values of one name: twice what servers take. It bounds what is made
 * of a message that says it has many.
 */
export const PACKET_FIELDS_MAX: number = 4096;

/** Bytes of an answer from a worker, which is held in memory: sixteen times what a request may have. */
export const REPLY_BYTES_MAX: number = 64 * 1024 * 1024;

/** Milliseconds in which a worker that answers health checks has to answer one, a new one to start. */
export const HEALTH_CHECK_MS: number = 5000;

/**
 * Milliseconds that a worker is kept from requests to see whether it survives a health check, where
 * workers of its kind are known to survive without a word, or it has long been started.
 */
export const SILENT_CHECK_MS: number = 1000;

/** Milliseconds between a death and the next start at most, however many deaths came before. */
export const RESTART_DELAY_MS_MAX: number = 30_000;

/**
 * Milliseconds of life that show that a command can be run, and how many workers in a row may end
 * before that, if none has ever answered: after so many it is most likely wrong.
 */
export const EARLY_EXIT_MS: number = 10_000;
export const EARLY_EXITS_MAX: number = 5;

/** How often a request is given to a worker: once more than one that dies takes with it. */
export const REQUEST_TRIES_MAX: number = 2;

/**
 * Milliseconds of waiting after which a request's client is looked for before a worker gets it: some
 * platforms take longer to look than a request takes, and who has just asked is most likely there.
 */
export const LEAVING_MS: number = 20;

/** Milliseconds between two looks at who has left a full queue. */
export const QUEUE_SWEEP_MS: number = 100;

/**
 * Milliseconds after the end of its input in which a worker is to end by itself; then it gets a
 * SIGTERM, and when it has not ended as long after that, a SIGKILL.
 */
export const WORKER_TERM_MS: number = 1000;
export const WORKER_STOP_MS: number = 2000;
