import type { ConsumerSession } from '../consumers/consumer-session.js';
import { shortGroups } from '../observers/observer.js';
import { Redaction } from '../redaction.js';
import type { Scope } from '../scope/scope.js';
import type { Settings } from '../settings.js';
import { encodeData } from '../wire/codec.js';
import type { ConnectionState, StreamState } from './app-explorer.js';

/** Headers with credentials; the settings name further secrets. */
const proofs = ['cookie', 'authorization', 'sec-websocket-protocol', 'sec-websocket-key'];

/** The current state of a connection, for the explorer. */
export function connectionState(
  scope: Scope,
  sessions: ReadonlyMap<string | undefined, ConsumerSession>,
  refused: readonly string[],
  { log }: Settings,
): ConnectionState {
  const redaction = new Redaction([...log.redacted, ...proofs]);
  const shown = (value: unknown): unknown => plain(redaction.apply({ value }).value);
  const headers = Object.entries(scope.headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]);
  return {
    path: scope.path,
    params: { ...scope.params },
    query: redaction.apply(Object.fromEntries(scope.query)),
    headers: redaction.apply(Object.fromEntries(headers) as Record<string, string>),
    remoteAddress: scope.remoteAddress ?? null,
    subprotocol: scope.subprotocol ?? null,
    user: shown(scope.user),
    session: shown(scope.session),
    identity: shown(scope.identity),
    streams: Object.fromEntries([...sessions].map(([stream, session]) => [stream ?? '', streamState(session)])),
    refused,
  };
}

function streamState({ instance, groups, subscriptions }: ConsumerSession): StreamState {
  return {
    consumer: instance.constructor.name,
    groups: groups.names,
    subscriptions: subscriptions.all.map(({ requestId, observer, groups, requests }) => ({
      requestId,
      observer: observer.id,
      member: observer.member,
      groups: shortGroups(observer.id, groups),
      requests: requests.map(({ action, sent }) => ({ action, kwargs: plain(sent) })),
    })),
  };
}

/** A value as JSON shows it, without columns that the ORM hides. A value that JSON cannot show becomes the name of its type. */
function plain(value: unknown): unknown {
  try {
    return JSON.parse(encodeData(value)) as unknown;
  } catch {
    return typeof value;
  }
}
