import type { Request } from './dialects.js';

/** Rows of the table when a server starts. */
export const tableSize = 10_000;

/** A closed loop: each of 64 connections asks again as soon as it is answered. */
export interface Load {
  readonly kind: 'load';
  readonly request: RequestName;
  readonly inFlight: number;
  readonly limit: number;
  /** What the server of Signalbox has beside what all have: observers of the model without subscribers, consumers of it. */
  readonly further?: { readonly observers?: number; readonly consumers?: number };
}

/** Rows are created, and then deleted by 64 connections, each of which asks again as soon as it is answered. */
export interface Deletes {
  readonly kind: 'deletes';
  readonly rows: number;
}

/** One patch at a time, until every subscriber of the model has its event. */
export interface FanOut {
  readonly kind: 'fan-out';
  readonly subscribers: number;
}

/** Connections opened as fast as the server takes them. */
export interface Handshakes {
  readonly kind: 'handshakes';
  readonly connections: number;
}

/** Resident memory at two numbers of connections, each with a subscription to a row. */
export interface Memory {
  readonly kind: 'memory';
  readonly sizes: readonly [number, number];
}

/** From the start of the process until it listens. */
export interface StartUp {
  readonly kind: 'start-up';
}

/** Every request once, with all of its reply compared. */
export interface Verification {
  readonly kind: 'verification';
}

export type Work = Load | Deletes | FanOut | Handshakes | StartUp | Memory;

/** How a request of a load is made from its number. `salt` differs for each load: a row that keeps its values is no change. */
export const requests = {
  echo: (number: number): Request => ({ action: 'echo', data: { message: 'hello world', number } }),
  retrieve: (number: number): Request => ({ action: 'retrieve', pk: scattered(number) }),
  list: (number: number, _salt: string, limit: number): Request => page('list', number, limit),
  'list with count': (number: number, _salt: string, limit: number): Request => page('list_counted', number, limit),
  patch: (number: number, salt: string): Request => ({
    action: 'patch',
    pk: scattered(number),
    data: { email: `${salt}.${number}@example.com`, age: number % 100 },
  }),
  create: (number: number, salt: string): Request => ({
    action: 'create',
    data: { name: `New ${number}`, email: `${salt}.${number}@example.com`, city: 'Berlin', age: 33, active: true },
  }),
};

export type RequestName = keyof typeof requests;

export const pageSize = 25;

function page(action: Request['action'], number: number, limit: number): Request {
  return { action, limit, offset: 100 + ((number * 25) % 900) };
}

/** Neighbours in time are no neighbours in the table. 7 919 is prime, so every row has its turn. */
function scattered(number: number): number {
  return 1 + ((number * 7_919) % tableSize);
}

const load = (request: RequestName, inFlight = 1, limit = pageSize): Load => ({
  kind: 'load',
  request,
  inFlight,
  limit,
});
const fanOut = (subscribers: number): FanOut => ({ kind: 'fan-out', subscribers });

/** In the order of the table. What stands behind "further" is asked of Signalbox only, for the peers have nothing like it. */
export const works: Readonly<Record<string, Work>> = {
  'echo, 16 in flight': load('echo', 16),
  'echo, 1 in flight': load('echo'),
  retrieve: load('retrieve'),
  'list of 25': load('list'),
  'list of 25 with count': load('list with count'),
  patch: load('patch'),
  create: load('create'),
  delete: { kind: 'deletes', rows: 4_000 },
  'fan-out to 1,000, per delivery': fanOut(1_000),
  handshake: { kind: 'handshakes', connections: 1_000 },
  'start-up': { kind: 'start-up' },
  memory: { kind: 'memory', sizes: [2_000, 5_000] },
  'list of 100': load('list', 1, 100),
  'list of 400': load('list', 1, 400),
  'fan-out to 100, per delivery': fanOut(100),
  'fan-out to 4,000, per delivery': fanOut(4_000),
  'patch, 10 further observers': { ...load('patch'), further: { observers: 10 } },
  'patch, 100 further observers': { ...load('patch'), further: { observers: 100 } },
  'patch, 10 further consumers': { ...load('patch'), further: { consumers: 10 } },
  'patch, 100 further consumers': { ...load('patch'), further: { consumers: 100 } },
};
