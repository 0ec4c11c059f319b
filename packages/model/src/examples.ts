// SPDX-License-Identifier: Apache-2.0
import type { Kind } from "./documents.ts";
import type { StoreKind } from "./store-kinds.ts";

/** One whole document of each kind; those that files may hold make a model together. */
export const examples: Readonly<Record<Kind | StoreKind, string>> = {
  Site: `apiVersion: meridian.dev/v1alpha1
kind: Site
metadata:
  name: eu-west
spec:
  coordinates: { latitude: 53.35, longitude: -6.26 }
  country: IE
  continent: EU
`,
  Pool: `apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata:
  name: web-eu
spec:
  healthCheck: web
  members:
    a: { address: 192.0.2.10, site: eu-west }
    b: { address: 192.0.2.11, site: eu-west, weight: 2 }
`,
  EndpointSet: `apiVersion: meridian.dev/v1alpha1
kind: EndpointSet
metadata:
  name: web-eu-cluster-2
spec:
  pool: web-eu
  members:
    c: { address: "2001:db8::12", site: eu-west }
`,
  HealthCheck: `apiVersion: meridian.dev/v1alpha1
kind: HealthCheck
metadata:
  name: web
spec:
  https: { path: /healthz, host: www.example.org }
  interval: 5s
  timeout: 2s
`,
  TrafficPolicy: `apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata:
  name: web
spec:
  root: where
  nodes:
    where:
      geo:
        branches:
          - { pool: web-eu, continents: [EU] }
          - { node: order, default: true }
    order:
      failover:
        tiers:
          - branches: [{ pool: web-eu }]
          - branches: [{ name: www.example.net }]
`,
  Zone: `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata:
  name: example.org
spec:
  origin: example.org
  nameServers:
    - { name: ns1.example.org, addresses: [192.0.2.53] }
  records:
    - { name: "@", type: MX, values: ["10 mail.example.net."] }
`,
  Record: `apiVersion: meridian.dev/v1alpha1
kind: Record
metadata:
  name: www.example.org
spec:
  name: www.example.org
  policy: web
  ttl: { min: 5s, max: 30s }
  objective: { recoveryTime: 2m }
`,
  DataSet: `apiVersion: meridian.dev/v1alpha1
kind: DataSet
metadata:
  name: countries
spec:
  country: { path: data/countries.mmdb }
  maxAge: 720h
`,
  Shift: `apiVersion: meridian.dev/v1alpha1
kind: Shift
metadata:
  name: eu-west-maintenance
spec:
  target: site/eu-west
  percent: 100
  reason: Change of switches
  actor: operator@example.org
  expiresAt: 2026-01-31T18:00:00Z
`,
  Role: `apiVersion: meridian.dev/v1alpha1
kind: Role
metadata:
  name: shop-deployer
spec:
  rules:
    - { verbs: [get, list, watch, apply, delete], namespaces: [shop] }
    - { verbs: [explain], zones: [shop.example.org] }
  members:
    - { group: shop-developers }
`,
  Token: `apiVersion: meridian.dev/v1alpha1
kind: Token
metadata:
  name: "0123456789"
spec:
  subject: deployer
  roles: [shop-deployer]
  hash: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  expiresAt: 2026-12-31T00:00:00Z
`,
  Tenant: `apiVersion: meridian.dev/v1alpha1
kind: Tenant
metadata:
  name: shop
spec:
  namespaces: [shop, shop-test]
  domains: [shop.example.org]
  quotas:
    names: 1000
    endpoints: 200
    documents: { Pool: 50, HealthCheck: 20 }
`,
  Grant: `apiVersion: meridian.dev/v1alpha1
kind: Grant
metadata:
  name: web-for-shop
  namespace: shared
spec:
  from: [{ kind: Record, namespace: shop }]
  to: [{ kind: Pool, name: web }]
`,
  Notification: `apiVersion: meridian.dev/v1alpha1
kind: Notification
metadata:
  name: on-call
spec:
  events: [all-down, failover, refused-publish]
  groupWait: 10s
  webhook:
    url: https://hooks.example.org/meridian
    token: { file: on-call-token }
`,
  Cell: `apiVersion: meridian.dev/v1alpha1
kind: Cell
metadata:
  name: eu
spec:
  edges:
    - { name: eu-1, nameServer: ns1.example.net }
    - { name: eu-2, nameServer: ns2.example.net }
    - { name: eu-3, nameServer: ns3.example.net }
    - { name: eu-4, nameServer: ns4.example.net }
  tenants: [shop, bank]
  zones: [example.org]
  shuffle: { edges: 2, overlap: 1 }
`,
};
