// SPDX-License-Identifier: Apache-2.0

/** How each Knot of the tests begins its configuration: on 127.0.0.1, small, in a folder of its own, with its log on the standard output. */
export function knotBase(folder: string, port: number): string {
  return `server:
    listen: 127.0.0.1@${port}
    rundir: "${folder}"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stdout
    any: info
database:
    storage: "${folder}"
`;
}
