/**
 * For the `skip` option of `node:test`: false where `program` is on the PATH (or in the folders of system programs),
 * else the reason with the command that installs it.
 *
 * @throws Error where the program is missing and MERIDIAN_CI is 1.
 */
export declare function needs(program: string, aptPackage: string): string | false;
/** As `needs`, for the folder of conformance data that CONFORMANCE_DATA names. */
export declare function needsConformanceData(): string | false;
/** Absolute path of `program`, or undefined. Daemons live in sbin, which is not on every user's PATH. */
export declare function programPath(program: string): string | undefined;
