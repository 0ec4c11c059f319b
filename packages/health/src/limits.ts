// SPDX-License-Identifier: Apache-2.0

// Every bound of this package, so that a reader finds them in one place.

/** Probes that may be on their way at once; others wait in a queue that is counted. */
export const PROBES_IN_FLIGHT_MAX = 4096;

/** Status line and headers of an HTTP answer, together (as in Route 53). */
export const HTTP_HEAD_BYTES_MAX = 16_384;

/** How much of an HTTP body is looked at for a match; the text must lie wholly inside (as in Route 53). */
export const HTTP_BODY_WINDOW_BYTES = 5120;

/** What is read of a body, so that a kept connection can be used again, before it is closed instead. */
export const HTTP_DRAIN_BYTES_MAX = 65_536;

/** Interim (1xx) answers accepted before the final one. */
export const HTTP_INTERIM_MAX = 8;

/** Bytes of a TCP answer among which the expected text is looked for. */
export const TCP_EXPECT_BYTES_MAX = 4096;

/** Bytes of the answer to a gRPC health check: a message of one small number. */
export const GRPC_MESSAGE_BYTES_MAX = 4096;

/** Bytes of the answer of a Prometheus server. */
export const PROMETHEUS_BODY_BYTES_MAX = 1_048_576;

/** `ping` processes at once. */
export const PING_PROCESSES_MAX = 32;

/** A calculated check may refer to calculated checks to this depth; what is deeper stays as it is. */
export const CALCULATED_DEPTH_MAX = 8;

/** Stands for "will not change by itself" wherever a time until the earliest change is told: one day. */
export const EARLIEST_CHANGE_MAX_MS = 86_400_000;

/** The first round of few targets is spread over so long, however long the interval is. */
export const FIRST_ROUND_SPREAD_MS = 250;

/** First probes a second, where that many targets begin at once: half a core for them, and no burst that a network takes for an attack. */
export const FIRST_PROBES_PER_SECOND = 10_000;

/** Flips remembered for damping, whatever the check asks for. */
export const FLIPS_REMEMBERED_MAX = 64;

/** Added to interval and timeout in the promised detection bound: scheduling and delivery. */
export const DETECTION_SLACK_MS = 100;

/** Transitions that a process keeps in memory, at least; older ones are in the journal. */
export const TRANSITIONS_REMEMBERED_MAX = 10_000;

/** Transitions that are logged one by one in a second. */
export const LOGGED_PER_SECOND_MAX = 100;

/** Probes whose verdicts change so soon after others' are told of together: one that fails alone is told of at once. */
export const TRANSITIONS_SPACING_MS = 5;

/** A timer this late means that this process stood still: what was in flight then gets the time back. */
export const STALL_MS = 50;

/** States that are told in one turn of the event loop: probes go first. */
export const STATES_PER_TURN = 256;

/** Pause before a verdict thread that died is started anew; twice as long each time where it dies again soon. */
export const RESTART_DELAY_MS = 10;

/** Longest such pause. A thread that lived longer than this begins with the shortest again. */
export const RESTART_DELAY_MS_MAX = 5000;

/** How long a verdict thread may take to end by itself. */
export const CLOSE_MS_MAX = 2000;

/** How often the verdict thread gives a sign of life. */
export const BEAT_MS = 1000;

/** After so many missing ones the thread is no more urgent than others. */
export const BEATS_MISSED_CALM = 2;

/** Signs of life that may be missing in a row before the thread is taken to hang: taking in a million targets takes seconds. */
export const BEATS_MISSED_MAX = 10;

/** As above, before the first: a busy machine may take long to start a thread. */
export const FIRST_BEAT_MISSED_MAX = 60;

/** Slice that the verdict thread asks for: the least that the kernel grants. */
export const SLICE_NS = 100_000;

/** How long the verdict thread keeps to itself what it has published: longer than a worker takes to answer from it. */
export const TELL_AFTER_MS = 5;

/** The same where it has told something just before: a message takes both threads as long as fifty transitions. */
export const TELL_AGAIN_AFTER_MS = 25;

/** For how long a verdict thread leaves the core to workers once it has published something: longer than most take to answer. */
export const GIVE_WAY_MS = 1;

/** How soon in that time it wakes once, so that the kernel chooses anew who runs. */
export const GIVE_WAY_NUDGE_MS = 0.03;

/** Changes that follow sooner are part of what workers were left the core for already. */
export const GIVE_WAY_AGAIN_MS = 20;

/** How often a verdict thread collects its young garbage. */
export const COLLECT_MS = 1000;

/** Nice value of the verdict thread while its work is short, where this user may have it, but no policy of real time. */
export const URGENT_NICE = -20;

/** More than this share of a core is no short work. */
export const URGENT_CPU_SHARE_MAX = 0.5;

/** How often that is looked at. */
export const URGENCY_CHECK_MS = 250;

/**
 * How often it is looked whether the thread works without a pause: for so long answers may wait. After a collection of garbage V8 has a thread
 * ask again and again whether a helper has swept, and the helper does not get the core from a thread with a policy of real time.
 */
export const URGENCY_BURST_MS = 10;

/** More than this share of such a time is work without a pause. */
export const URGENT_BURST_SHARE_MAX = 0.9;

/** How long a process that serves what is on disk leaves the processor to its workers before it begins to probe. */
export const FIRST_ANSWERS_MS = 300;

/** Probes that a new verdict thread plays to itself: by 1,600 nearly all is compiled. */
export const REHEARSAL_PROBES = 2400;

/** Endpoints that have a part in it: too few for suspicion. */
export const REHEARSAL_ENDPOINTS = 4;

/** Between two played probes of one of them: 400 a second in all take a sixteenth of a core, for six seconds. */
export const REHEARSAL_INTERVAL_MS = 10;

/** How long a thread has probed before it plays: a process that starts has better things to do. */
export const REHEARSAL_AFTER_MS = 2000;
/**
 * Young garbage of the verdict thread, in all three spaces of it. Unless told V8 lets it grow to 96 MB while the targets of a plan come, and
 * never takes that back: with 100,000 of them the thread held 67 MB for what dies at once.
 */
export const YOUNG_MB_MAX = 24;
