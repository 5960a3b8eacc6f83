/** A known way to break a promise, as a change of one passage of the compiled framework. */
export interface Bug {
  readonly name: string;
  /** In `dist/`. */
  readonly file: string;
  /** Stands there exactly once, however its lines are broken. */
  readonly sound: string;
  readonly broken: string;
  /** In `spec/`, without `.spec.ts`: at least one of their facts has to fail. */
  readonly specs: readonly string[];
}

const changes: readonly Bug[] = [
  {
    name: 'a flush tells before its transaction commits',
    file: 'orm/model-subscriber.js',
    sound: 'if (!em.getTransactionContext())',
    broken: 'this.#release(this.#stages.of(em).release()); if (false)',
    specs: ['orm/transaction-stages', 'walks/change'],
  },
  {
    name: 'a released savepoint tells before the transaction around it commits',
    file: 'signals/stage.js',
    sound: 'if (!this.parent)',
    broken: 'if (true)',
    specs: ['orm/transaction-stages'],
  },
  {
    name: 'what was rolled back to a savepoint is told',
    file: 'orm/transaction-stages.js',
    sound: 'this.#stages.delete(transaction);',
    broken: 'this.#find(transaction).release();',
    specs: ['orm/transaction-stages', 'walks/model-based'],
  },
  {
    name: 'a delivery does not know in which trace its commit was',
    file: 'orm/transaction-stages.js',
    sound: 'const cause = this.#cause();',
    broken: 'const cause = undefined;',
    specs: ['walks/traces'],
  },
  {
    name: 'an aborted transaction that PostgreSQL "commits" is told',
    file: 'orm/transaction-stages.js',
    sound: "await connection.execute?.('select 1', [], 'all', transaction);",
    broken: '',
    specs: ['orm/transaction-stages'],
  },
  {
    name: 'what an observer throws stops all events behind it',
    file: 'observers/change-publisher.js',
    sound: "this.#parts.logger.error('A change could not be announced.',",
    broken: "throw error; ('',",
    specs: ['observers/change-publisher'],
  },
  {
    name: 'what a receiver of a signal throws reaches its sender',
    file: 'signals/signal.js',
    sound: 'this.#call(receiver, prepared);',
    broken: 'receiver(prepared);',
    specs: ['signals/signal'],
  },
  {
    name: 'the groups that a row leaves are forgotten',
    file: 'observers/change-publisher.js',
    sound: 'this.#groupsOf(observer, change, change.before)',
    broken: 'this.#groupsOf(observer, change, change.after ?? change.before)',
    specs: ['walks/change', 'dcrf/observer-groups'],
  },
  {
    name: 'a row that leaves a group is shown to it',
    file: 'consumers/arrivals.js',
    sound: "if (action === 'delete' && !signal)",
    broken: "if (action === 'delete' && !signal && data === 'null')",
    specs: ['dcrf/observer-groups', 'walks/model-based'],
  },
  {
    name: 'a row that comes into a group is an update',
    file: 'observers/group-diff.js',
    sound: "return 'create';",
    broken: "return 'update';",
    specs: ['walks/change'],
  },
  {
    name: 'a change in two groups of a subscription is told twice',
    file: 'consumers/deliveries.js',
    sound: 'if (message.id !== undefined && this.#isKnown(message.id))',
    broken: 'if (false)',
    specs: ['walks/change', 'dcrf/observer-groups'],
  },
  {
    name: 'a row that is created and deleted in one commit is told',
    file: 'orm/model-change.js',
    sound: 'merged.before === undefined && merged.after === undefined ? undefined : merged',
    broken: 'merged',
    specs: ['orm/model-subscriber', 'walks/model-based'],
  },
  {
    name: 'a commit is told that came before the subscription',
    file: 'consumers/arrivals.js',
    sound: 'commit <= record.since',
    broken: 'false',
    specs: ['consumers/deliveries'],
  },
  {
    name: 'a subscription that ended stays in its groups',
    file: 'observers/subscriptions.js',
    sound: 'held.map((group) => this.#membership.discard(group))',
    broken: 'held',
    specs: ['observers/subscriptions', 'walks/model-based'],
  },
  {
    name: 'a channel leaves a group with the first of its holders',
    file: 'channel-layer/membership.js',
    sound: 'if (holders > 1)',
    broken: 'if (false)',
    specs: ['channel-layer/membership'],
  },
  {
    name: 'a channel that disconnects stays in its groups',
    file: 'channel-layer/in-memory-channel-layer.js',
    sound: 'for (const group of member.groups)',
    broken: 'for (const group of [])',
    specs: ['channel-layer/in-memory-channel-layer'],
  },
];

const stale: readonly Bug[] = [
  {
    name: 'a stale writer is told of by what it had loaded',
    file: 'orm/model-subscriber.js',
    sound: 'const isRead = this.#groupsVary(meta) && meta.versionProperty === undefined;',
    broken: 'const isRead = false;',
    specs: ['dcrf/unreported-writes'],
  },
  {
    name: 'a row that took the key of one that was waited for is overlooked',
    file: 'orm/model-snapshot.js',
    sound: '(lock ? await find() : null)',
    broken: 'null',
    specs: ['dcrf/unreported-writes'],
  },
  {
    name: 'an upsert is told by what was there before it waited',
    file: 'orm/model-upsert.js',
    sound: 'const lock = em.isInTransaction() &&',
    broken: 'const lock = false &&',
    specs: ['dcrf/unreported-writes'],
  },
  {
    name: 'an upsert outside of a transaction is told by what was there before it waited',
    file: 'orm/model-upsert.js',
    sound: 'fork.transactional(find)',
    broken: 'find(fork)',
    specs: ['dcrf/unreported-writes'],
  },
  {
    name: 'what an application commits while it closes is told to nobody',
    file: 'server/shutdown.js',
    sound: 'await this.#tellTheRest();',
    broken: '',
    specs: ['walks/closing'],
  },
];

const requests: readonly Bug[] = [
  {
    name: 'an event overtakes the reply of the request that caused it',
    file: 'consumers/deliveries.js',
    sound: 'if (!pending)',
    broken: 'if (true)',
    specs: ['consumers/deliveries'],
  },
  {
    name: 'an event overtakes the reply of the request that subscribed',
    file: 'consumers/subscribing.js',
    sound: 'if (isNew && exchange)',
    broken: 'if (false)',
    specs: ['consumers/deliveries'],
  },
  {
    name: 'requests run side by side',
    file: 'dispatch/request-queue.js',
    sound: 'if (!exchange.isDetached)',
    broken: 'if (false)',
    specs: ['consumers/consumer-channel', 'walks/request'],
  },
  {
    name: 'the request id of a reply is a text',
    file: 'wire/codec.js',
    sound: 'JSON.stringify(reply.requestId)',
    broken: 'JSON.stringify(String(reply.requestId))',
    specs: ['security/request-ids'],
  },
  {
    name: '1 and "1" are one subscription',
    file: 'observers/subscriptions.js',
    sound: 'record.observer === observer && record.requestId === requestId',
    broken: 'record.observer === observer && record.requestId == requestId',
    specs: ['observers/subscriptions', 'dcrf/instance'],
  },
  {
    name: 'abandoned work writes outside of its transaction',
    file: 'orm/unit-of-work.js',
    sound: 'this.em.transactional(work, { signal })',
    broken: 'this.em.transactional(work)',
    specs: ['dispatch/dispatcher'],
  },
  {
    name: 'what is being committed is told to be abandoned',
    file: 'dispatch/dispatcher.js',
    sound: 'this.#hasBegun || this.#aborted.abort(signal.reason)',
    broken: 'this.#aborted.abort(signal.reason)',
    specs: ['dispatch/dispatcher'],
  },
  {
    name: 'parts are sent before the commit that makes them true',
    file: 'dispatch/dispatcher.js',
    sound: 'this.#kept = isAtomic ? [] : undefined;',
    broken: '',
    specs: ['dispatch/dispatcher'],
  },
  {
    name: 'a reply shows what was not written yet',
    file: 'dispatch/action-run.js',
    sound: 'await unitOfWork.flush();',
    broken: ';',
    specs: ['walks/request', 'dispatch/dispatcher', 'consumers/model-mixins'],
  },
];

const rights: readonly Bug[] = [
  {
    name: 'no permission is asked at delivery',
    file: 'consumers/event-gate.js',
    sound: 'parts.permissions.asksForDeliveries(parts.scope)',
    broken: 'false',
    specs: ['consumers/deliveries', 'walks/two-users'],
  },
  {
    name: 'nobody is asked again where a right goes',
    file: 'observers/recheck-publisher.js',
    sound: 'if (groups.size === 0)',
    broken: 'if (true)',
    specs: ['observers/revocation'],
  },
  {
    name: 'an event that overtakes the question about a right is delivered',
    file: 'consumers/event-gate.js',
    sound: 'return isRefused || !(await this.#grants.holds(record, groups));',
    broken: 'return false;',
    specs: ['observers/revocation', 'walks/revocation-in-any-order'],
  },
  {
    name: 'a revoked subscription goes on',
    file: 'consumers/event-gate.js',
    sound: 'const ended = subscriptions.end(requestId);',
    broken: 'const ended = undefined;',
    specs: ['observers/revocation'],
  },
  {
    name: 'everybody has the most rights to fields',
    file: 'consumers/arrivals.js',
    sound: 'rightsKey(serializer, rightsThrough(record, groups))',
    broken: 'Object.keys(dataByRights).at(-1)',
    specs: ['serializers/field-rights'],
  },
  {
    name: 'fields are accepted from those who do not see them',
    file: 'serializers/field-rights.js',
    sound: 'return name !== undefined && namesOf(rights, field).includes(name);',
    broken: 'return true;',
    specs: ['serializers/field-rights'],
  },
  {
    name: 'a forbidden object is told from an absent one',
    file: 'permissions/permission-checker.js',
    sound: 'this.revealsForbidden ? new PermissionDenied() : new NotFound()',
    broken: 'new PermissionDenied()',
    specs: ['security/enumeration', 'walks/request'],
  },
];

const identity: readonly Bug[] = [
  {
    name: 'a ticket is good for two upgrades',
    file: 'authentication/in-memory-ticket-store.js',
    sound: 'this.#tickets.delete(key); return',
    broken: 'return',
    specs: ['authentication/in-memory-ticket-store', 'authentication/tickets'],
  },
  {
    name: 'a ticket is good for any page',
    file: 'authentication/tickets.js',
    sound: 'stored.origin === comparable(origin)',
    broken: 'true',
    specs: ['authentication/tickets'],
  },
  {
    name: 'what has expired goes on',
    file: 'authentication/expiry.js',
    sound: 'if (due >= this.#due)',
    broken: 'if (true)',
    specs: ['authentication/expiry'],
  },
  {
    name: 'whoever is disconnected during the handshake gets in',
    file: 'authentication/live-connections.js',
    sound: 'pending.orders.push(order);',
    broken: ';',
    specs: ['authentication/connections'],
  },
  {
    name: 'the next user hears what the former one subscribed to',
    file: 'consumers/user-change.js',
    sound: '[this.#revokeAll(), ...joined',
    broken: '[...joined',
    specs: ['authentication/login'],
  },
  {
    name: 'the next user hears groups that the former one could not leave',
    file: 'consumers/user-change.js',
    sound: "close(CloseCode.serverError, 'The user could not be changed.');",
    broken: ';',
    specs: ['authentication/login'],
  },
  {
    name: 'pages of any origin may connect',
    file: 'server/origin-check.js',
    sound: "if (allowed === 'any' || headers.origin === undefined)",
    broken: 'if (true)',
    specs: ['server/origin-check', 'server/handshake'],
  },
  {
    name: 'the providers of a connection are never disposed',
    file: 'server/connection.js',
    sound: 'await this.#parts.disposer.dispose(this.#admission.scope);',
    broken: '',
    specs: ['scope/scope-disposal'],
  },
];

const limits: readonly Bug[] = [
  {
    name: 'a rate lets one too many through',
    file: 'server/token-bucket.js',
    sound: 'if (debt > this.#all)',
    broken: 'if (debt > this.#all + this.#each)',
    specs: ['server/token-bucket', 'server/message-limits'],
  },
  {
    name: 'what is above a rate has an effect',
    file: 'server/inbound-frames.js',
    sound: 'this.#answering(undefined, frame, () => { if (refusal) throw refusal;',
    broken: 'this.#answering(undefined, frame, () => {',
    specs: ['server/message-limits'],
  },
  {
    name: 'whoever does not heed a limit is never cut',
    file: 'server/message-limits.js',
    sound: 'if (code === Throttled.code)',
    broken: 'if (false)',
    specs: ['server/message-limits'],
  },
  {
    name: 'a user has one connection too many',
    file: 'server/handshake-limits.js',
    sound: '(this.#users.get(name)?.connections ?? 0) < connectionsPerUser',
    broken: '(this.#users.get(name)?.connections ?? 0) <= connectionsPerUser',
    specs: ['server/handshake-limits'],
  },
  {
    name: 'who leaves does not give back the place',
    file: 'server/handshake-limits.js',
    sound: 'caller.connections -= 1;',
    broken: ';',
    specs: ['server/handshake-limits'],
  },
  {
    name: 'a client says itself where it calls from',
    file: 'server/client-address.js',
    sound: 'if (!this.#isTrusted(address) || isIP(next) === 0)',
    broken: 'if (isIP(next) === 0)',
    specs: ['server/client-address', 'server/handshake-limits'],
  },
  {
    name: 'any number of sockets may ask for nothing',
    file: 'server/handshake-limits.js',
    sound: 'if (caller.sockets >= Math.max(socketsPerAddress, connectionsPerAddress))',
    broken: 'if (false)',
    specs: ['server/waiting-sockets'],
  },
  {
    name: 'a socket that asked for nothing counts for ever',
    file: 'server/waiting-sockets.js',
    sound: 'if (this.#leave.delete(socket)) release();',
    broken: 'this.#leave.delete(socket);',
    specs: ['server/waiting-sockets'],
  },
  {
    name: 'each connection of a user has a budget of its own',
    file: 'server/message-limits.js',
    sound: 'user?.take(1, now) ?? 0',
    broken: '0',
    specs: ['server/message-limits'],
  },
  {
    name: 'who sent too much for too long is told to stop for good',
    file: 'server/message-limits.js',
    sound: 'code: CloseCode.overloaded',
    broken: 'code: CloseCode.policy',
    specs: ['server/message-limits'],
  },
  {
    name: 'a store of users without an answer is waited for for ever',
    file: 'server/connection-services.js',
    sound: 'return await Promise.race([answer, late]);',
    broken: 'return await answer;',
    specs: ['authentication/connections'],
  },
  {
    name: 'the clean-up of a generator may go on for ever, unnoticed',
    file: 'dispatch/action-run.js',
    sound: 'await stopped;',
    broken: '',
    specs: ['dispatch/request-log'],
  },
  {
    name: 'a request that is cancelled before it runs is told nowhere',
    file: 'dispatch/dispatcher.js',
    sound: 'exchange.isStarted || this.#log.noteUnbegun(target, exchange)',
    broken: 'exchange.isStarted',
    specs: ['dispatch/request-log'],
  },
  {
    name: 'a process exits before its drain is over',
    file: 'server/process-signals.js',
    sound: 'return drainTimeLimit + afterDrain;',
    broken: 'return 30_000;',
    specs: ['server/process-signals'],
  },
];

const outbound: readonly Bug[] = [
  {
    name: 'any number of bytes may wait for a slow reader',
    file: 'server/outbound.js',
    sound: 'if (this.pending + bytes > hardLimit)',
    broken: 'if (false)',
    specs: ['server/outbound'],
  },
  {
    name: 'any number of events may wait for a permission',
    file: 'consumers/ceilings.js',
    sound: 'if (waiting < this.limits.waitingEvents)',
    broken: 'if (true)',
    specs: ['consumers/intake'],
  },
  {
    name: 'events go on waiting for a client that has left',
    file: 'consumers/intake.js',
    sound: 'this.#receivers.deliveries.end();',
    broken: '',
    specs: ['consumers/intake'],
  },
  {
    name: 'a frame may wait for a slow reader for ever',
    file: 'server/outbound-traffic.js',
    sound: 'else if (oldest <= tooOld)',
    broken: 'else if (false)',
    specs: ['server/outbound'],
  },
  {
    name: 'the delete of a row is lost with a slow reader',
    file: 'server/outbound-queue.js',
    sound: "|| earlier.latest.action === 'delete')",
    broken: ')',
    specs: ['server/outbound-queue'],
  },
  {
    name: 'a socket that is gone without a word is never found',
    file: 'server/heartbeat.js',
    sound: 'socket.terminate();',
    broken: ';',
    specs: ['server/heartbeat'],
  },
  {
    name: 'a drain closes without its frame',
    file: 'server/connection.js',
    sound: 'this.outbound.send(encodeReply(told, isMultiplexed ? null : undefined));',
    broken: '',
    specs: ['server/drain'],
  },
  {
    name: 'a drain does not wait for what is under way',
    file: 'server/connection.js',
    sound: 'await settledWithin(answered, time, clock);',
    broken: '',
    specs: ['server/drain'],
  },
  {
    name: 'a drain sends all clients away at once',
    file: 'server/drain.js',
    sound: 'Math.min(due, leaving.length + mostSlices * slice)',
    broken: 'leavers.length',
    specs: ['server/drain'],
  },
  {
    name: 'a drain counts turns instead of time, and does not come to the last clients',
    file: 'server/drain.js',
    sound: 'Math.ceil((leavers.length * (this.#now() - begun + turn)) / spread)',
    broken: 'leaving.length + slice',
    specs: ['server/drain'],
  },
];

const client: readonly Bug[] = [
  {
    name: 'the client does not ask again for its subscriptions',
    file: 'client/exchange.js',
    sound: 'kind.lose(); isSent = false;',
    broken: 'kind.lose(); isSent = Boolean(kind.stays);',
    specs: ['client/subscription'],
  },
  {
    name: 'the client does not say that it missed something',
    file: 'client/subscription.js',
    sound: 'if (wasLive)',
    broken: 'if (false)',
    specs: ['client/subscription'],
  },
  {
    name: 'the client sends a request again that may have happened',
    file: 'client/exchange.js',
    sound: 'error.isRetryable && (error.status === 429 || kind.retries-- > 0)',
    broken: 'error.isRetryable',
    specs: ['client/request'],
  },
  {
    name: 'a live collection forgets what came while it listed',
    file: 'client/live.js',
    sound: 'for (const event of this.#meanwhile ?? [])',
    broken: 'for (const event of [])',
    specs: ['client/live', 'client/live-interleavings'],
  },
  {
    name: 'a live collection does not list again after a gap',
    file: 'client/live.js',
    sound: 'subscription.onResync(() => void this.refetch());',
    broken: '',
    specs: ['client/live'],
  },
];

/** Each breaks a promise of `docs/guarantees.md`. */
export const bugs: readonly Bug[] = [
  ...changes,
  ...stale,
  ...requests,
  ...rights,
  ...identity,
  ...limits,
  ...outbound,
  ...client,
];
