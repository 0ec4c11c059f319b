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
  View: `apiVersion: meridian.dev/v1alpha1
kind: View
metadata:
  name: internal
spec:
  priority: 10
  match:
    - { clients: [10.0.0.0/8, "fd00::/8"] }
    - { key: internal-tools }
  tsigKeys:
    internal-tools: { secret: { file: internal-tools } }
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
  dnssec: { parentServers: [{ address: 192.0.2.1 }] }
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
  RecordSet: `apiVersion: meridian.dev/v1alpha1
kind: RecordSet
metadata:
  name: mail.example.org-mx
spec:
  name: mail.example.org
  type: MX
  ttl: 5m
  values:
    - 10 mx1.example.net.
    - 20 mx2.example.net.
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
  ControlPanel: `apiVersion: meridian.dev/v1alpha1
kind: ControlPanel
metadata:
  name: shop
spec:
  description: Where the shop is served
`,
  RoutingControl: `apiVersion: meridian.dev/v1alpha1
kind: RoutingControl
metadata:
  name: shop-eu
spec:
  panel: shop
  targets: [pool/default/web-eu]
`,
  SafetyRule: `apiVersion: meridian.dev/v1alpha1
kind: SafetyRule
metadata:
  name: shop-somewhere
spec:
  panel: shop
  assertion: { controls: [shop-eu, shop-us] }
  require: { atLeast: 1 }
`,
  Rollout: `apiVersion: meridian.dev/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  policy: shop
  waves:
    - { site: eu, node: eu, stable: { pool: shop-v1 }, canary: { pool: shop-v2 } }
  steps:
    - setWeight: 5
    - pause: { for: 10m }
    - setWeight: 25
    - analysis: [errors]
    - pause: {}
    - setWeight: 50
  prometheus: { url: http://prometheus.example.org:9090 }
  analyses:
    errors:
      query: sum(rate(http_errors_total{pool="shop-v2"}[1m])) / sum(rate(http_requests_total{pool="shop-v2"}[1m]))
      success: { below: 0.01 }
      minSamples: { query: 'sum(increase(http_requests_total{pool="shop-v2"}[1m]))', count: 100 }
      onNoData: hold
  watch: [errors]
`,
  TrafficProfile: `apiVersion: meridian.dev/v1alpha1
kind: TrafficProfile
metadata:
  name: peak
spec:
  unit: requests/s
  demand:
    europe: { name: www.example.org, from: { continent: EU }, rate: 1200 }
    elsewhere: { name: www.example.org, rate: 400 }
`,
  Drill: `apiVersion: meridian.dev/v1alpha1
kind: Drill
metadata:
  name: without-eu
spec:
  target: site/eu-west
  lasts: 30m
  every: 168h
  windows:
    allowed: [{ days: [tue, wed], from: "09:00", to: "15:00" }]
  outcomeAlarms:
    errors:
      source: { url: "http://prometheus.example.org:9090" }
      query: sum(rate(http_errors_total[1m])) / sum(rate(http_requests_total[1m]))
      max: 0.01
`,
  ChangePolicy: `apiVersion: meridian.dev/v1alpha1
kind: ChangePolicy
metadata:
  name: production
spec:
  acts:
    - { verbs: [apply, delete, rollback], labels: { tier: production } }
    - { verbs: [drain, set], namespaces: [shop] }
  approvals: { count: 1, within: 4h }
  windows:
    timeZone: Europe/Berlin
    allowed: [{ days: [mon, tue, wed, thu], from: "09:00", to: "17:00" }]
    blockedDates: ["2026-12-24"]
`,
  RecoveryPlan: `apiVersion: meridian.dev/v1alpha1
kind: RecoveryPlan
metadata:
  name: shop-to-us
spec:
  description: Moves the shop from eu to us. What eu has written and us has not read is lost.
  objective: { recoveryTime: 5m }
  names: [www.example.org]
  sequence: [ready, grow, move]
  steps:
    ready:
      waitForHealth: { target: pool/default/web-us, percent: 50 }
      only: graceful
    grow:
      webhook:
        url: https://scaler.example.org/grow
        signingKey: { file: scaler-key }
      onFailure: continue
    move:
      controls: { states: { shop-us: On, shop-eu: Off } }
  triggers:
    eu-lost:
      unhealthy: { target: site/eu }
      for: 1m
`,
};

/** A Scenario, which is no document of a model. */
export const scenarioExample = `apiVersion: meridian.dev/v1alpha1
kind: Scenario
metadata:
  name: eu-is-lost
spec:
  duration: 10m
  demand:
    europe: { name: www.example.org, from: { continent: EU }, rate: 1000 }
  resolvers:
    isps: { share: 9, caches: 900 }
    stubborn: { share: 1, caches: 100, ttlFloor: 60s }
  events:
    - at: 2m
      for: 5m
      fail: { targets: [site/eu-west] }
  expect:
    errors: 2
    recovery: 60s
`;
