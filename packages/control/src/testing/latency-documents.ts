// SPDX-License-Identifier: Apache-2.0

/** Documents of a policy that goes by the latency table at `path`: a pool at two sites. */
export const latencyDocuments = (path: string): string => `
apiVersion: meridian.dev/v1alpha1
kind: DataSet
metadata: {name: rtt}
spec: {latency: {path: ${path}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Site
metadata: {name: eu}
spec: {coordinates: {latitude: 50, longitude: 8}}
---
apiVersion: meridian.dev/v1alpha1
kind: Site
metadata: {name: us}
spec: {coordinates: {latitude: 39, longitude: -77}}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: p}
spec: {members: {one: {address: 192.0.2.1}}}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: p}
spec: {root: r, nodes: {r: {latency: {dataSet: rtt, branches: [{pool: p, site: eu}, {pool: p, site: us}]}}}}
`;
