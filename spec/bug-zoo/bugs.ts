import { setTimeout as passed } from 'node:timers/promises';
import type { EntityManager } from '@mikro-orm/core';
import type { Clock, Settings, StoredTicket } from 'signalbox';
import { changeLogBugs } from './change-log-bugs.js';
import { columnKindsBugs } from './column-kinds-bugs.js';
import { connectionMemoryBugs } from './connection-memory-bugs.js';
import { dcrfBugs } from './dcrf-bugs.js';
import { always, answered, given, leftOut, made } from './faults.js';
import { inboundBugs } from './inbound-bugs.js';
import { listsBugs } from './lists-bugs.js';
import { loginBugs } from './login-bugs.js';
import { lostSessionsBugs } from './lost-sessions-bugs.js';
import { plainRowsBugs } from './plain-rows-bugs.js';
import type { Bug, Fault } from './plant.js';
import { proxyBugs } from './proxy-bugs.js';
import { severalProcessesBugs } from './several-processes-bugs.js';
import { soundRowsBugs } from './sound-rows-bugs.js';
import { startupBugs } from './startup-bugs.js';
import { writeBugs } from './write-bugs.js';
import { writerSessionBugs } from './writer-session-bugs.js';

/** A limit that never applies: in milliseconds, or a number of what is limited. */
const noLimit = 2_147_483_647;

/** The default of the setting. */
const closeTimeout = 1_000;

/** The framework runs with other settings than the application gave. */
function settings(change: (settings: Settings) => Settings): Fault {
  return { symbol: 'completeSettings', with: answered(change) };
}

/** The framework sends other SQL. @throws Error where the text is not in it: then nothing would be planted */
function sql(symbol: string, text: string, other: string): Fault {
  return {
    symbol,
    with: (original: string | { readonly text: string }) => {
      const before = typeof original === 'string' ? original : original.text;
      if (!before.includes(text)) throw new Error(`${symbol} does not contain ${text}.`);
      const after = before.replace(text, other);
      return typeof original === 'string' ? after : { ...original, text: after };
    },
  };
}

/** Another statement is sent instead of the one that contains the text. */
function sent(text: string, other: string): Fault {
  return {
    symbol: 'runStatement',
    with: given((connection, statement: { readonly text: string }, ...rest) => [
      connection,
      statement.text.includes(text) ? { text: other } : statement,
      ...rest,
    ]),
  };
}

const changeLog: readonly Bug[] = [
  {
    name: 'commits that come late are lost',
    story: 'The reader asks for ids above the last one that it has read.',
    plant: sql('readFunction', 'log.xid >= seen_end or log.xid = any (seen_open) or ', ''),
    caughtBy: ['log/change-log'],
  },
  {
    name: 'commits of transactions that were open at the read before are lost',
    story: 'The reader asks for transactions that began after its snapshot.',
    plant: sql('readFunction', 'or log.xid = any (seen_open) or log.id > seen_newest', ''),
    caughtBy: ['log/change-log'],
  },
  {
    name: 'changes of one row come in the order in which their transactions began',
    story: 'A batch is ordered by transaction.',
    plant: sql('readFunction', 'order by 5 nulls first', 'order by 6 nulls first, 5'),
    caughtBy: ['log/change-log'],
  },
  {
    name: 'a commit is lost whose transaction has the number of one from before a crash',
    story: 'A position is a snapshot and nothing else.',
    plant: sql('readFunction', ' or log.id > seen_newest', ''),
    caughtBy: ['log/log-crash'],
  },
  {
    name: 'a log that was emptied, restored or made anew is read on from the old position',
    story: 'The reader does not look at the epoch.',
    plant: [
      sql('readFunction', `state.epoch || '/' || signalbox.timeline()`, `'the same'`),
      sql('headStatement', `select epoch || '/' || signalbox.timeline()`, `select 'the same'`),
    ],
    caughtBy: ['log/change-log'],
  },
  {
    name: 'a reader does not notice that rows were pruned before it read them',
    story: 'The floor is not compared.',
    plant: { symbol: 'Position.isBefore', with: always(false) },
    caughtBy: ['log/change-log'],
  },
  {
    name: 'pruning does not tell readers how far it went',
    story: 'The floor is not written.',
    plant: sent('set floor = mark,', 'select 1'),
    caughtBy: ['log/change-log'],
  },
  {
    name: 'rows are pruned that have become visible just now',
    story: 'Only the age of rows counts, and not when their transaction ended.',
    plant: { symbol: 'unseenByMark', with: () => 'false' },
    caughtBy: ['log/change-log'],
  },
  {
    name: 'all commits of the application wait for the pruning',
    story: 'The pruning waits for its lock without a limit.',
    plant: sent(`set_config('lock_timeout', '200ms', true)`, 'select 1'),
    caughtBy: ['log/retention'],
  },
  {
    name: 'one commit of a million rows takes the memory of every process',
    story: 'A batch has no bound.',
    plant: {
      symbol: 'LogReader',
      with: made((options: { readonly settings: object }) => [
        { ...options, settings: { ...options.settings, largestBatch: noLimit, largestBatchBytes: noLimit } },
      ]),
    },
    caughtBy: ['log/change-log'],
  },
  {
    name: 'events come when the log is polled, and not when something was committed',
    story: 'Rings are lost.',
    plant: { symbol: 'LogReader.ring', with: leftOut },
    caughtBy: ['log/change-log'],
  },
];

const changes: readonly Bug[] = [
  {
    name: 'events are sent before their transaction commits',
    story: 'What a transaction did is appended to the log on another connection, where it is seen at once.',
    plant: {
      symbol: 'append',
      with: given((em: EntityManager, _connection, rows, stage, limits, cause) => [
        em,
        clientOf(em),
        rows,
        stage,
        limits,
        cause,
      ]),
    },
    caughtBy: ['log/commits'],
  },
  {
    name: 'no event is sent of what a released savepoint wrote',
    story: 'A savepoint does not know which transaction it is in.',
    plant: { symbol: 'CommitBuffer.starting', with: given(({ em }: TransactionEvent) => [{ em }]) },
    caughtBy: ['walks/change'],
  },
  {
    name: 'events are sent of what was rolled back to a savepoint',
    story: 'The rollback of a savepoint counts as its release.',
    plant: {
      symbol: 'CommitBuffer.rolledBack',
      with: (rolledBack: (event: TransactionEvent) => void) =>
        function (this: Stages, event: TransactionEvent) {
          if (event.transaction?.savepointName) this.released(event);
          else rolledBack.call(this, event);
        },
    },
    caughtBy: ['dcrf/transactions'],
  },
  {
    name: 'a delivery does not name the trace of its commit',
    story: 'What a commit hands on does not say which trace was under way.',
    plant: {
      symbol: 'append',
      with: given((em, connection, rows, stage, limits, _cause, run) => [
        em,
        connection,
        rows,
        stage,
        limits,
        undefined,
        run,
      ]),
    },
    caughtBy: ['walks/traces'],
  },
  {
    name: 'a request succeeds although raw SQL has ended its transaction',
    story: 'Nothing asks before the commit whether there is a transaction.',
    plant: { symbol: 'requireOpen', with: given((status) => [status === 'I' ? 'T' : status]) },
    caughtBy: ['log/commits'],
  },
  {
    name: 'a request succeeds although PostgreSQL has rolled its transaction back for an error that was caught',
    story: 'Nothing asks before the commit whether the transaction is aborted.',
    plant: { symbol: 'requireOpen', with: given((status) => [status === 'E' ? 'T' : status]) },
    caughtBy: ['log/commits'],
  },
  {
    name: 'work that waits for a commit runs after a rollback',
    story: 'A transaction that is rolled back runs what waited for its commit.',
    plant: {
      symbol: 'CommitBuffer.rolledBack',
      with: (rolledBack: (event: TransactionEvent) => void) =>
        function (this: Stages, event: TransactionEvent) {
          const { transaction } = event;
          if (transaction && !transaction.savepointName) for (const work of this.find(transaction).works) work();
          rolledBack.call(this, event);
        },
    },
    caughtBy: ['log/commits'],
  },
  {
    name: 'work of a savepoint that was rolled back runs after the commit',
    story: 'A savepoint that is rolled back leaves what waited for the commit to the transaction around it.',
    plant: {
      symbol: 'CommitBuffer.rolledBack',
      with: (rolledBack: (event: TransactionEvent) => void) =>
        function (this: Stages, event: TransactionEvent) {
          const stage = event.transaction && this.find(event.transaction);
          stage?.parent?.works.push(...stage.works);
          rolledBack.call(this, event);
        },
    },
    caughtBy: ['log/commits'],
  },
  {
    name: 'an observer that throws stops all later events',
    story: 'The publisher throws again what it catches.',
    plant: {
      symbol: 'EventPublisher',
      with: made((observers, index, unitOfWork, _logger, ...rest) => [
        observers,
        index,
        unitOfWork,
        { error: fail, warn: fail },
        ...rest,
      ]),
    },
    caughtBy: ['observers/event-publisher'],
  },
  {
    name: 'what a receiver of a signal throws reaches the sender of the signal',
    story: 'Receivers are called outside of any try.',
    plant: {
      symbol: 'Signal',
      with: (original: new (...given: unknown[]) => object) =>
        class extends original {
          readonly receivers = new Map<Receiver, Receiver>();

          connect(receiver: Receiver, prepare: Receiver = (payload) => payload): void {
            this.receivers.set(receiver, prepare);
          }

          disconnect(receiver: Receiver): void {
            this.receivers.delete(receiver);
          }

          send(payload: unknown): void {
            for (const [receiver, prepare] of this.receivers) receiver(prepare(payload));
          }
        },
    },
    caughtBy: ['signals/signal'],
  },
  {
    name: 'the groups that a row leaves hear nothing of it',
    story: 'Where the row is in other groups now, those in which it was are passed over.',
    plant: {
      symbol: 'eventFor',
      with:
        (eventFor: (...given: EventInput) => string | undefined) =>
        (...given: EventInput) => {
          const event = eventFor(...given);
          return event === 'delete' && given[2].length > 0 ? undefined : event;
        },
    },
    caughtBy: ['dcrf/observer-groups'],
  },
  {
    name: 'a row that leaves a group is shown to it',
    story: 'Where the row is somewhere else now, a delete is an update.',
    plant: {
      symbol: 'eventFor',
      with:
        (eventFor: (...given: EventInput) => string | undefined) =>
        (...given: EventInput) => {
          const event = eventFor(...given);
          return event === 'delete' && given[2].length > 0 ? 'update' : event;
        },
    },
    caughtBy: ['dcrf/observer-groups'],
  },
  {
    name: 'a row that comes into a group is an update',
    story: 'What was in no group of a subscription before counts as known to it.',
    plant: { symbol: 'eventFor', with: answered((event) => (event === 'create' ? 'update' : event)) },
    caughtBy: ['dcrf/observer-groups'],
  },
  {
    name: 'a change in two groups of a subscription is sent twice',
    story: 'The audience of several groups has a subscription once for each of them.',
    plant: {
      symbol: 'SubscriptionIndex.audience',
      with: (audience: (groups: readonly string[]) => readonly object[]) =>
        function (this: object, groups: readonly string[]) {
          return groups.length < 2 ? audience.call(this, groups) : groups.flatMap((one) => audience.call(this, [one]));
        },
    },
    caughtBy: ['dcrf/observer-groups'],
  },
  {
    name: 'an event is sent of a row that one commit creates and deletes',
    story: 'Of two changes of a row in a transaction, the later one says whether the row was there before.',
    plant: {
      symbol: 'merged',
      in: 'orm/change-capture',
      with: (merge: (earlier: Noted, later: Noted) => Noted) => (earlier: Noted, later: Noted) => ({
        ...merge(earlier, later),
        wasThere: later.wasThere,
      }),
    },
    caughtBy: ['walks/change'],
  },
  {
    name: 'a subscription hears of a commit that came before it',
    story: 'A subscription begins at once, and not behind a read of the log.',
    plant: { symbol: 'ChangeFeed.positionFor', with: always(Promise.resolve(0)) },
    caughtBy: ['consumers/event-delivery'],
  },
  {
    name: 'groups are evaluated of rows that no client here has subscribed to',
    story: 'Every observer counts as one that somebody hears.',
    plant: {
      symbol: 'SubscriptionIndex',
      with: (original: new () => object) =>
        class extends original {
          readonly heard = { has: () => true };
        },
    },
    caughtBy: ['observers/event-publisher'],
  },
  {
    name: 'each look at the row of a change makes another entity of it',
    story: 'A row of the log is restored in a manager of its own for every observer and rule.',
    plant: {
      symbol: 'LoggedRow.entity',
      with: (entity: (this: object) => object) =>
        function (this: LoggedRow) {
          return entity.call(new this.constructor(this.em.fork(), this.meta, this.stored, this.schema));
        },
    },
    caughtBy: ['observers/event-publisher'],
  },
  {
    name: 'each subscriber of a change has its text decoded',
    story: 'The body of an event is a copy for each delivery.',
    plant: { symbol: 'bodyOf', with: answered((body: object) => structuredClone(body)) },
    caughtBy: ['consumers/event-delivery'],
  },
  {
    name: 'the replies of one tick reach a client in several writes',
    story: 'Each frame is handed to the socket by itself.',
    plant: {
      symbol: 'OutboundFrames.send',
      with: (send: (...given: unknown[]) => void) =>
        function (this: { flush(now: number): void; backpressure: { now(): number } }, ...given: unknown[]) {
          send.apply(this, given);
          this.flush(this.backpressure.now());
        },
    },
    caughtBy: ['server/web-socket-transport'],
  },
  {
    name: 'the events of one commit reach a client in several writes',
    story: 'Each event of a commit has a turn of the event loop of its own.',
    plant: {
      symbol: 'EventDelivery.receive',
      with: (receive: (...given: unknown[]) => void) => {
        const tails = new WeakMap<object, Promise<void>>();
        return function (this: object, ...given: unknown[]) {
          const tail = (tails.get(this) ?? Promise.resolve()).then(() => passed(1));
          tails.set(
            this,
            tail.then(() => receive.apply(this, given)),
          );
        };
      },
    },
    caughtBy: ['walks/change'],
  },
  {
    name: 'a consumer stays in the groups that it leaves',
    story: 'Its channel is not taken out of the group.',
    plant: { symbol: 'ConsumerGroups.remove', with: leftOut },
    caughtBy: ['dcrf/groups'],
  },
  {
    name: 'a connection leaves a group with the first of its subscriptions',
    story: 'Where one subscription gives up a group, all of the same consumer do.',
    plant: {
      symbol: 'SubscriptionIndex.discard',
      with: (discard: (group: string, record: Subscribed) => void) =>
        function (
          this: { audience(groups: readonly string[]): readonly Subscribed[] },
          group: string,
          one: Subscribed,
        ) {
          const records = this.audience([group]).filter(({ receiver }) => receiver === one.receiver);
          for (const record of records) discard.call(this, group, record);
        },
    },
    caughtBy: ['dcrf/instance'],
  },
  {
    name: 'a channel that disconnects stays in its groups',
    story: 'Disconnecting a channel takes its receiver away and nothing else.',
    plant: {
      symbol: 'InMemoryChannelLayer.disconnect',
      with: () =>
        function (this: ChannelConnector, channel: string) {
          return this.connect(channel, () => undefined);
        },
    },
    caughtBy: ['channel-layer/in-memory-channel-layer'],
  },
  {
    name: 'messages are lost in an outage of the channel layer, and no client learns of the gap',
    story: 'Connections stay when the layer tells of a gap.',
    plant: { symbol: 'closeAfterGap', with: leftOut },
    caughtBy: ['server/channel-layer-outage'],
  },
  {
    name: 'a gap of the channel layer closes everybody',
    story: 'All connections count as concerned.',
    plant: { symbol: 'ConsumerSession.mayMissMessages', with: always(true) },
    caughtBy: ['server/channel-layer-outage'],
  },
  {
    name: 'a channel layer loses messages in an outage and says nothing',
    story: 'The gap is not told.',
    plant: { symbol: 'ChannelLayer.tellGap', with: leftOut },
    caughtBy: ['log/notify-channel-layer'],
  },
  {
    name: 'a request waits for as long as the server of the channel layer is silent',
    story: 'No answer has a time limit.',
    plant: { symbol: 'Deadlines.limit', with: () => (work: Promise<unknown>) => work },
    caughtBy: ['log/notify-channel-layer'],
  },
  {
    name: 'of equal messages that are sent together one arrives',
    story: 'The notifications of a statement do not differ, and PostgreSQL drops all but one.',
    plant: {
      symbol: 'toPayloads',
      with: given((_id: string, key: string, text: string) => ['message', key, text]),
    },
    caughtBy: ['log/notify-channel-layer'],
  },
];

const stale: readonly Bug[] = [
  {
    name: 'a writer that waited for a row sends its event to the groups from before it waited',
    story: 'The row before a change is read without a lock.',
    plant: {
      symbol: 'runStatement',
      with: given((connection, { text, ...statement }: { text: string }, ...rest) => [
        connection,
        { ...statement, text: text.replace(/ for no key update of [\w, ]+(?=\) r\b)/, '') },
        ...rest,
      ]),
    },
    caughtBy: ['dcrf/unreported-writes'],
  },
  {
    name: 'no event is sent of a row that took the key of the one that its writer waited for',
    story: 'Where the row that was waited for is gone, nothing looks who has its key now.',
    plant: {
      symbol: 'runStatement',
      with: (run: (...given: Running) => Promise<unknown>) => {
        const found = new WeakMap<object, { readonly question: string; readonly rows: Promise<unknown> }>();
        return (...given: Running) => {
          const [connection, { text }, parameters] = given;
          const question = `${text} ${parameters[0]}`;
          const before = found.get(connection);
          if (before?.question === question && text.includes('for no key update')) return before.rows;
          const rows = run(...given);
          found.set(connection, { question, rows });
          return rows;
        };
      },
    },
    caughtBy: ['orm/change-capture'],
  },
  {
    name: 'the event of an upsert goes to the groups from before it waited',
    story: 'The rows that an upsert may find in its way are read without a lock.',
    plant: {
      symbol: 'EntityManager.find',
      of: '@mikro-orm/core',
      with: given((...[entity, where, { lockMode: _, ...options } = {}]: Finding) => [entity, where, options]),
    },
    caughtBy: ['dcrf/unreported-writes'],
  },
  {
    name: 'the event of an upsert outside of a transaction goes to the groups from before it waited',
    story: 'Outside of a transaction, what an upsert may find in its way is read outside of one too.',
    plant: {
      symbol: 'conflictingRows',
      with: given((em: EntityManager, ...rest) => [em.isInTransaction() ? em : withoutTransactions(em), ...rest]),
    },
    caughtBy: ['dcrf/unreported-writes'],
  },
  {
    name: 'an application that closes does not tell other processes of its last commits',
    story: 'The change log is left before the connections have ended.',
    plant: {
      symbol: 'Shutdown.close',
      with: (close: () => Promise<void>) =>
        async function (this: { readonly services: { readonly feed: { stop(): Promise<void> } } }) {
          await this.services.feed.stop();
          await close.call(this);
        },
    },
    caughtBy: ['walks/closing'],
  },
];

const requests: readonly Bug[] = [
  {
    name: 'an event overtakes the reply of the request that caused it',
    story: 'An event does not say which request it comes from.',
    plant: {
      symbol: 'EventDelivery.receive',
      with: given((message: object, record) => [{ ...message, origin: undefined }, record]),
    },
    caughtBy: ['consumers/event-delivery'],
  },
  {
    name: 'an event overtakes the reply of the request that subscribed',
    story: 'The events of a new subscription do not wait for that reply.',
    plant: { symbol: 'EventDelivery.expect', with: given((record, request) => [record, request, false]) },
    caughtBy: ['consumers/event-delivery'],
  },
  {
    name: 'requests run side by side',
    story: 'The next request begins as soon as the one before it has begun.',
    plant: {
      symbol: 'RequestQueue',
      with: (original: new (...given: unknown[]) => { release(request: unknown): void }) =>
        class extends original {
          constructor(consumer: { start(request: unknown): void }, ...others: unknown[]) {
            const start = (request: unknown): void => {
              consumer.start(request);
              queueMicrotask(() => this.release(request));
            };
            super({ start }, ...others);
          }
        },
    },
    caughtBy: ['dcrf/dispatch'],
  },
  {
    name: 'the request id of a reply is a text',
    story: 'The request id loses its type on the way.',
    plant: {
      symbol: 'encodeReply',
      with: given((reply: { requestId: unknown }, stream) => [
        { ...reply, requestId: String(reply.requestId) },
        stream,
      ]),
    },
    caughtBy: ['security/request-ids'],
  },
  {
    name: '1 and "1" are one subscription',
    story: 'Request ids are compared as texts.',
    plant: {
      symbol: 'Subscriptions.open',
      with: (open: (...given: unknown[]) => unknown) =>
        function (this: SubscriptionBook, observer: unknown, requestId: unknown, ...rest: unknown[]) {
          const known = this.of(observer).find((record) => String(record.requestId) === String(requestId));
          return open.call(this, observer, known?.requestId ?? requestId, ...rest);
        },
    },
    caughtBy: ['dcrf/instance'],
  },
  {
    name: 'abandoned work writes outside of its transaction',
    story: 'The queries of an atomic action are not bound to its abort signal.',
    plant: {
      symbol: 'EntityManager.transactional',
      of: '@mikro-orm/core',
      with: given((work, { signal: _, ...options }: { signal?: AbortSignal } = {}) => [work, options]),
    },
    caughtBy: ['dispatch/dispatcher'],
  },
  {
    name: 'a client hears that its request was abandoned while the request is being committed',
    story: 'A request can be aborted after its commit has begun.',
    plant: { symbol: 'Request.beginCommit', with: leftOut },
    caughtBy: ['dispatch/dispatcher'],
  },
  {
    name: 'the parts and the reply of an atomic action are sent before the commit that makes them true',
    story: 'An atomic action counts as committed as soon as its work is done.',
    plant: {
      symbol: 'UnitOfWork.runAtomic',
      with: (run: (work: () => Promise<unknown>, signal: AbortSignal) => Promise<unknown>) =>
        function (this: unknown, work: () => Promise<unknown>, signal: AbortSignal) {
          const done = Promise.withResolvers<unknown>();
          const committed = run.call(
            this,
            async () => {
              done.resolve(await work());
              await passed(50);
            },
            signal,
          );
          committed.catch(done.reject);
          return done.promise;
        },
    },
    caughtBy: ['dispatch/dispatcher'],
  },
  {
    name: 'a reply shows what was not written yet',
    story: 'The changes of an atomic action are not flushed before its reply is made.',
    plant: { symbol: 'UnitOfWork.flush', with: leftOut },
    caughtBy: ['walks/request'],
  },
];

const rights: readonly Bug[] = [
  {
    name: 'no permission is asked at delivery',
    story: 'No permission seems to have an opinion on deliveries.',
    plant: [
      {
        symbol: 'PermissionChecker.opinionsOn',
        with: answered((opinions: object) => ({ ...opinions, deliveries: false, events: false })),
      },
    ],
    caughtBy: ['walks/two-users'],
  },
  {
    name: 'no subscription is asked again where a right goes',
    story: 'A commit is told without what it means to the rights of subscriptions.',
    plant: {
      symbol: 'EventDelivery.receive',
      with: (receive: (...given: unknown[]) => void) =>
        function (this: object, message: object, record: unknown) {
          if (!('recheck' in message)) receive.call(this, message, record);
        },
    },
    caughtBy: ['observers/revocation'],
  },
  {
    name: 'a change is shown before the right to see it is taken, by one commit',
    story: 'What a commit means to rights comes behind what it changed.',
    plant: {
      symbol: 'EventDelivery.receive',
      with: (receive: (...given: unknown[]) => void) =>
        function (this: object, message: object, record: unknown) {
          if ('recheck' in message) setImmediate(() => receive.call(this, message, record));
          else receive.call(this, message, record);
        },
    },
    caughtBy: ['observers/revocation'],
  },
  {
    name: 'an event is delivered that overtakes the question whether its subscription still holds',
    story: 'An event does not ask whether its subscription is still granted: only that question does.',
    plant: { symbol: 'SubscriptionAuthorizer.isDue', with: always(false) },
    caughtBy: ['observers/revocation'],
  },
  {
    name: 'an answer of a permission holds for ever',
    story: 'The time of an answer is not looked at.',
    plant: {
      symbol: 'SubscriptionAuthorizer.isDue',
      with: (isDue: (...given: unknown[]) => boolean) =>
        function (this: { session: { services: object } }, ...given: unknown[]) {
          const { session } = this;
          this.session = { services: { ...session.services, settings: { grantTimeLimit: Number.POSITIVE_INFINITY } } };
          try {
            return isDue.apply(this, given);
          } finally {
            this.session = session;
          }
        },
    },
    caughtBy: ['consumers/subscription-authorizer'],
  },
  {
    name: 'a revoked subscription goes on',
    story: 'The client is told of the end, and the subscription stays.',
    plant: { symbol: 'Subscriptions.end', with: leftOut },
    caughtBy: ['observers/revocation'],
  },
  {
    name: 'every client has the most rights to fields',
    story: 'Nothing asks which rights a client has.',
    plant: {
      symbol: 'askRights',
      with: () => async (serializer: { readonly options: { readonly rights: FieldRights } }) => {
        const { by, fields } = serializer.options.rights;
        return new Map([[by, Object.values(fields).flat().at(-1)]]);
      },
    },
    caughtBy: ['serializers/field-rights'],
  },
  {
    name: 'fields are accepted from clients that may not see them',
    story: 'Every field is within the rights of every client.',
    plant: { symbol: 'isWithin', with: always(true) },
    caughtBy: ['serializers/field-rights'],
  },
  {
    name: 'a client can tell a forbidden object from an absent one',
    story: 'Where a permission refuses an object, the client is told so.',
    plant: {
      symbol: 'PermissionChecker.checkObject',
      with: (check: (...given: unknown[]) => Promise<void>) =>
        async function (this: unknown, ...given: unknown[]) {
          const { PermissionDenied } = await import('signalbox');
          await check.apply(this, given).catch(() => Promise.reject(new PermissionDenied()));
        },
    },
    caughtBy: ['security/enumeration'],
  },
];

const identity: readonly Bug[] = [
  {
    name: 'a ticket is good for two upgrades',
    story: 'A ticket that was taken is still there.',
    plant: {
      symbol: 'InMemoryTicketStore.take',
      with: (take: (key: string) => Promise<StoredTicket | undefined>) =>
        async function (this: { add(key: string, ticket: StoredTicket): Promise<void> }, key: string) {
          const ticket = await take.call(this, key);
          if (ticket) await this.add(key, ticket);
          return ticket;
        },
    },
    caughtBy: ['authentication/tickets'],
  },
  {
    name: 'a ticket is good for any page',
    story: 'Neither the issue of a ticket nor its use looks at the page.',
    plant: [
      { symbol: 'Tickets.issue', with: given((identity) => [identity, undefined]) },
      { symbol: 'Tickets.redeem', with: given((ticket) => [ticket, undefined]) },
    ],
    caughtBy: ['authentication/tickets'],
  },
  {
    name: 'a connection goes on after its session has expired',
    story: 'The end of a session is not watched.',
    plant: { symbol: 'expiryOf', with: always(Number.POSITIVE_INFINITY) },
    caughtBy: ['authentication/expiry'],
  },
  {
    name: 'a user who is disconnected during the handshake gets in',
    story: 'A handshake under way hears of no order.',
    plant: {
      symbol: 'ConnectionRegistry.begin',
      with: (begin: () => object) =>
        function (this: { ended(pending: object): void }) {
          const pending = begin.call(this);
          this.ended(pending);
          return pending;
        },
    },
    caughtBy: ['authentication/connections'],
  },
  {
    name: 'the next user hears what the former one subscribed to',
    story: 'The subscriptions stay where the user of a socket changes.',
    plant: { symbol: 'Subscriptions.endAll', with: always(new Set()) },
    caughtBy: ['authentication/login'],
  },
  {
    name: 'the next user hears groups that the former one could not leave',
    story: 'A stream goes on whether or not its former user could leave all groups.',
    plant: {
      symbol: 'ConsumerSession.closeSocket',
      with: (close: (code: number, reason: string) => void) =>
        function (this: unknown, code: number, reason: string) {
          if (code !== 1011) close.call(this, code, reason);
        },
    },
    caughtBy: ['authentication/login'],
  },
  {
    name: 'pages of any origin may connect',
    story: 'The Origin header is not looked at.',
    plant: { symbol: 'checkOrigin', with: leftOut },
    caughtBy: ['server/handshake'],
  },
  {
    name: 'the providers of a connection are never disposed',
    story: 'The end of a connection leaves its container alone.',
    plant: { symbol: 'ScopeDisposer.dispose', with: leftOut },
    caughtBy: ['scope/scope-disposal'],
  },
];

const limits: readonly Bug[] = [
  {
    name: 'a rate lets one frame too many through',
    story: 'A bucket is larger by one token.',
    plant: { symbol: 'TokenBucket', with: made((rate, burst: number, ...more) => [rate, burst + 1, ...more]) },
    caughtBy: ['server/rate-limit'],
  },
  {
    name: 'a client that ignores a limit is never cut',
    story: 'limits.throttledPerMinute does not apply.',
    plant: settings((all) => ({ ...all, limits: { ...all.limits, throttledPerMinute: noLimit } })),
    caughtBy: ['server/rate-limit'],
  },
  {
    name: 'a user has one connection too many',
    story: 'limits.connectionsPerUser counts from 0.',
    plant: settings((all) => ({
      ...all,
      limits: { ...all.limits, connectionsPerUser: all.limits.connectionsPerUser + 1 },
    })),
    caughtBy: ['server/rate-limit'],
  },
  {
    name: 'a connection that ends still counts for its address',
    story: 'The end of a connection gives its place back to the process and not to the address.',
    plant: { symbol: 'ConnectionLimiter.leave', with: given(() => [undefined]) },
    caughtBy: ['server/rate-limit'],
  },
  {
    name: 'each connection of a user has a budget of its own',
    story: 'limits.userMessagesPerSecond and userMessageBurst do not apply.',
    plant: settings((all) => ({
      ...all,
      limits: { ...all.limits, userMessagesPerSecond: noLimit, userMessageBurst: noLimit },
    })),
    caughtBy: ['server/rate-limit'],
  },
  {
    name: 'a client that sent too much for too long is told never to come back',
    story: 'The close code is that of a broken rule, 1008, in place of 1013.',
    plant: {
      symbol: 'ErrorRates.closing',
      with: answered((closing: object | undefined) => closing && { ...closing, code: 1008 }),
    },
    caughtBy: ['server/rate-limit'],
  },
  {
    name: 'a connection waits for ever for a store of users that does not answer',
    story: 'The question who a user is has no time limit.',
    plant: settings((all) => ({ ...all, handshakeTimeLimit: noLimit })),
    caughtBy: ['authentication/connections'],
  },
  {
    name: 'a clock of the application that fails ends the process',
    story: 'Its errors are thrown where a frame, a ping or the end of a socket reads the time.',
    plant: {
      symbol: 'GuardedClock.elapsed',
      with: () =>
        function (this: { readonly clock: Clock }): number {
          return this.clock.elapsed();
        },
    },
    caughtBy: ['server/failing-clock'],
  },
  {
    name: 'the clean-up of a generator goes on for ever, and nothing notices',
    story: 'A generator that was stopped counts as over before its clean-up is.',
    plant: {
      symbol: 'stopQuietly',
      with: (stop: (generator: unknown) => Promise<void>) => async (generator: unknown) => void stop(generator),
    },
    caughtBy: ['dispatch/request-log'],
  },
  {
    name: 'the clean-up of a generator does not run if a part of it cannot be sent',
    story: 'The generator is left at the part.',
    plant: { symbol: 'stopQuietly', with: leftOut },
    caughtBy: ['dispatch/dispatcher'],
  },
  {
    name: 'a request that is cancelled before it runs is in no log',
    story: 'Requests are followed from their beginning, and not from their arrival.',
    plant: {
      symbol: 'RequestLog.answered',
      with: (answered: (request: { isStarted: boolean }) => void) =>
        function (this: unknown, request: { isStarted: boolean }) {
          if (request.isStarted) answered.call(this, request);
        },
    },
    caughtBy: ['dispatch/request-log'],
  },
  {
    name: 'a process exits before its drain is over',
    story: 'The time in which a process ends is 30 s, however long a drain may take.',
    plant: {
      symbol: 'onProcessSignals',
      with: given((parts: object, options) => [{ ...parts, drainTimeLimit: 28_000 }, options]),
    },
    caughtBy: ['server/process-signals'],
  },
];

const outbound: readonly Bug[] = [
  {
    name: 'any number of bytes may wait for a slow reader',
    story: 'outbound.hardLimit does not apply.',
    plant: {
      symbol: 'Backpressure',
      with: made((settings: object, ...rest) => [{ ...settings, hardLimit: noLimit }, ...rest]),
    },
    caughtBy: ['server/outbound-frames'],
  },
  {
    name: 'any number of events may wait for a permission',
    story: 'limits.waitingEvents does not apply.',
    plant: settings((all) => ({ ...all, limits: { ...all.limits, waitingEvents: noLimit } })),
    caughtBy: ['consumers/waiting-events'],
  },
  {
    name: 'events go on waiting for a client that has left',
    story: 'The end of a connection drops neither its subscriptions nor the events that wait for it.',
    plant: [
      { symbol: 'EventDelivery.end', with: leftOut },
      { symbol: 'Subscriptions.endAll', with: always(new Set()) },
    ],
    caughtBy: ['consumers/waiting-events'],
  },
  {
    name: 'each frame that waits has a copy of its event',
    story: 'The size of a frame is measured as a whole, which makes one text of its parts.',
    plant: { symbol: 'FrameSizes.of', with: given((data) => [data]) },
    caughtBy: ['server/outbound-frames'],
  },
  {
    name: 'the frames of one event have nothing in common',
    story: 'A frame does not say which part of it other frames have as well.',
    plant: { symbol: 'OutboundFrames.send', with: given((text, latest) => [text, latest]) },
    caughtBy: ['server/outbound-frames'],
  },
  {
    name: 'a frame may wait for a slow reader for ever',
    story: 'outbound.timeLimit does not apply.',
    plant: {
      symbol: 'Backpressure',
      with: made((settings: object, ...rest) => [{ ...settings, timeLimit: noLimit }, ...rest]),
    },
    caughtBy: ['server/outbound-frames'],
  },
  {
    name: 'a slow reader is not told of the delete of a row',
    story: 'A later event of a row takes the place of its delete.',
    plant: {
      symbol: 'OutboundQueue.push',
      with: given(({ latest, ...frame }: { latest?: { action: string } }) => [
        { ...frame, latest: latest?.action === 'delete' ? { ...latest, action: 'update' } : latest },
      ]),
    },
    caughtBy: ['server/outbound-queue'],
  },
  {
    name: 'a socket whose client is gone without a word is never found',
    story: 'A socket that does not answer is not cut.',
    plant: {
      symbol: 'Heartbeat',
      with: made((settings, clock, counters, connections: ReadonlySet<object>) => {
        const uncut = (connection: object): object =>
          Object.create(connection, { terminate: { value: () => undefined } });
        const all = {
          get size() {
            return connections.size;
          },
          [Symbol.iterator]: () => connections.values().map(uncut),
        };
        return [settings, clock, counters, all];
      }),
    },
    caughtBy: ['server/heartbeat'],
  },
  {
    name: 'a drain closes connections without its frame',
    story: 'The frame that announces the end is not sent.',
    plant: {
      symbol: 'OutboundFrames.send',
      with: (send: (text: string, ...rest: unknown[]) => void) =>
        function (this: unknown, text: string, ...rest: unknown[]) {
          if (!text.includes('"action":"drain"')) send.call(this, text, ...rest);
        },
    },
    caughtBy: ['server/shutdown'],
  },
  {
    name: 'a drain does not wait for requests that are under way',
    story: 'A consumer counts as done while its requests run.',
    plant: { symbol: 'ConsumerSession.answeredAll', with: leftOut },
    caughtBy: ['server/shutdown'],
  },
  {
    name: 'a drain sends all clients away at once',
    story: 'drain.rate does not apply.',
    plant: settings((all) => ({ ...all, drain: { ...all.drain, rate: noLimit } })),
    caughtBy: ['server/shutdown'],
  },
  {
    name: 'a drain counts turns in place of time, and does not come to the last clients',
    story: 'However late a turn is, it makes up for no more than 20 ms.',
    plant: { symbol: 'longestTurn', with: () => 20 },
    caughtBy: ['server/shutdown'],
  },
  {
    name: 'a drain makes up at once for all that a busy process was late with',
    story: 'A late turn sends away all clients whose time has passed.',
    plant: { symbol: 'longestTurn', with: () => noLimit },
    caughtBy: ['server/shutdown'],
  },
  {
    name: 'a drain loses the requests that are on their way to the server',
    story: 'A client counts as told before it has answered the ping behind its frame.',
    plant: {
      symbol: 'Connection.drain',
      with: (leave: (...given: unknown[]) => Promise<void>) =>
        function (this: { onPong(mark: string): void }, ...given: unknown[]) {
          const left = leave.apply(this, given);
          this.onPong('drain');
          return left;
        },
    },
    caughtBy: ['server/shutdown'],
  },
  {
    name: 'a drain waits for ever for a client that answers no ping',
    story: 'What may take closeTimeout may take for ever.',
    plant: {
      symbol: 'Deadlines.settles',
      with: given((work, time) => [work, time === closeTimeout ? noLimit : time]),
    },
    caughtBy: ['server/shutdown'],
  },
  {
    name: 'the clients that a drain sends away come back in heaps',
    story: 'All of them hear the same time to come back.',
    plant: {
      symbol: 'errorReply',
      with: given((error: object, to: { action: unknown }) => [
        to.action === 'drain' ? Object.create(error, { retryAfter: { value: 1_000 } }) : error,
        to,
      ]),
    },
    caughtBy: ['server/shutdown'],
  },
];

const client: readonly Bug[] = [
  {
    name: 'the client does not ask again for its subscriptions',
    story: 'What was sent on a connection that is lost counts as asked for on the next.',
    plant: {
      symbol: 'createExchange',
      with:
        (create: (...given: Asking) => { renew(): boolean }) =>
        (...given: Asking) => {
          const exchange = create(...given);
          const { renew } = exchange;
          const [, , , kind] = given;
          let isSent = false;
          exchange.renew = () => {
            if (isSent && kind.stays) kind.lose();
            else isSent = renew();
            return isSent;
          };
          return exchange;
        },
    },
    caughtBy: ['client/subscription'],
  },
  {
    name: 'the client does not say that it missed something',
    story: 'A subscription that is back tells its listeners nothing.',
    plant: {
      symbol: 'subscribe',
      with: answered((subscription: object) => Object.assign(subscription, { onResync: () => () => undefined })),
    },
    caughtBy: ['client/subscription'],
  },
  {
    name: 'the client sends a request again that may have happened',
    story: 'Every request counts as one that may happen twice.',
    plant: {
      symbol: 'request',
      with: given((desk, stream, payload, options: object) => [desk, stream, payload, { ...options, retry: true }]),
    },
    caughtBy: ['client/request'],
  },
  {
    name: 'a live collection forgets the events that come while it lists',
    story: 'An event that comes while the rows are listed is dropped.',
    plant: {
      symbol: 'live',
      with: given((subscription: LiveEvents, options: { list(): PromiseLike<unknown> }) => {
        let listings = 0;
        const list = async (): Promise<unknown> => {
          listings += 1;
          try {
            return await options.list();
          } finally {
            listings -= 1;
          }
        };
        const onEvent = (listener: Receiver): unknown =>
          subscription.onEvent((event) => listings > 0 || listener(event));
        return [Object.create(subscription, { onEvent: { value: onEvent } }), { ...options, list }];
      }),
    },
    caughtBy: ['client/live'],
  },
  {
    name: 'a live collection does not list again after a gap',
    story: 'It does not listen to whether it missed something.',
    plant: {
      symbol: 'live',
      with: given((subscription: object, options) => [
        Object.create(subscription, { onResync: { value: () => undefined } }),
        options,
      ]),
    },
    caughtBy: ['client/live'],
  },
];

const misunderstandings: readonly Bug[] = [
  {
    name: 'a login that was cancelled logs in all the same',
    story: 'Nobody asks whether the request is still under way.',
    plant: { symbol: 'Request.requireUnderWay', with: leftOut },
    caughtBy: ['authentication/login'],
  },
  {
    name: 'the next user of a socket hears a group of the one before',
    story: 'A request of the former user may join groups after the logout.',
    plant: {
      symbol: 'ConsumerSession.addGroup',
      with: () =>
        function (this: { readonly groups: { add(group: string): Promise<void> } }, group: string) {
          return this.groups.add(group);
        },
    },
    caughtBy: ['authentication/login'],
  },
  {
    name: 'a ticket is good although its user was disconnected in the millisecond of its issue',
    story: 'Only what came later counts.',
    plant: {
      symbol: 'ConnectionRegistry.wasDisconnectedSince',
      with: given((moment: Date, identity: object) => [new Date(moment.getTime() + 1), identity]),
    },
    caughtBy: ['authentication/tickets'],
  },
  {
    name: 'a ticket is good although its user was disconnected once more in the millisecond of its issue',
    story: 'A disconnect counts from the time of the clock, which may be before that of a ticket issued already.',
    plant: {
      symbol: 'ConnectionRegistry.apply',
      with: (apply: (command: object, at: number) => void) =>
        function (this: { readonly clock: { now(): Date } }, command: object) {
          apply.call(this, command, this.clock.now().getTime());
        },
    },
    caughtBy: ['authentication/tickets'],
  },
  {
    name: 'a permission asks the database by a kwarg that no rule has checked',
    story: 'What does not fit is refused behind the permissions only.',
    plant: { symbol: 'Request.refuseKwargs', with: leftOut },
    caughtBy: ['permissions/checked-kwargs'],
  },
  {
    name: 'a permission with a misspelt method allows everything',
    story: 'Nobody looks whether it answers a question.',
    plant: { symbol: 'checkAsks', with: leftOut },
    caughtBy: ['first-mistakes'],
  },
  {
    name: 'the end of one room of a subscription is the end of all',
    story: 'With a request id, the kwargs are not looked at.',
    plant: {
      symbol: 'Subscriptions.removeGroupsOf',
      with: () =>
        function (this: { removeRequest(observer: object, id: unknown): void }, observer: object, id: unknown) {
          this.removeRequest(observer, id);
        },
    },
    caughtBy: ['dcrf/observer-request-ids'],
  },
  {
    name: 'the error of an unknown stream tells of streams that the client may not have',
    story: 'It lists all of them.',
    plant: {
      symbol: 'requireStream',
      with: given((consumers: object, frame: object, options: object) => [
        consumers,
        frame,
        { ...options, refused: undefined },
      ]),
    },
    caughtBy: ['server/connection'],
  },
  {
    name: 'a misspelt stream lists near names in production',
    story: 'The names are compared whatever the setting says.',
    plant: {
      symbol: 'requireStream',
      with: given((consumers: object, frame: object, options: object) => [
        consumers,
        frame,
        { ...options, development: true },
      ]),
    },
    caughtBy: ['first-mistakes'],
  },
  {
    name: 'the error of a misspelt name says the near ones only',
    story: 'The text that clients of DCRF know is left out.',
    plant: {
      symbol: 'withNearNames',
      with: answered(([text, options]: [string, { errors: string[] }?]) =>
        options ? [text, { errors: options.errors.slice(1) }] : [text],
      ),
    },
    caughtBy: ['first-mistakes'],
  },
];

const replies: readonly Bug[] = [
  {
    name: 'an action makes its reply invalid JSON, or has a client wait for ever',
    story: 'Whatever an action gives as a status goes into the frame.',
    plant: { symbol: 'checkFinalStatus', with: leftOut },
    caughtBy: ['dispatch/dispatcher'],
  },
  {
    name: 'a map that an action returns is shown as an empty object',
    story: 'Its fields are left to JSON.',
    plant: { symbol: 'fieldsOf', in: 'consumers/model-result', with: always({}) },
    caughtBy: ['consumers/model-result'],
  },
];

const database: readonly Bug[] = [
  {
    name: 'connections of the pool are lost when the server ends their sessions',
    story: 'The pool is not watched.',
    plant: { symbol: 'ConnectionPool.watch', with: leftOut },
    caughtBy: ['orm/connection-pool'],
  },
  {
    name: 'a request is answered "nothing happened" although its commit may have succeeded',
    story: 'A commit without an answer counts as refused.',
    plant: { symbol: 'isWithoutEffect', with: always(true) },
    caughtBy: ['orm/connection-pool'],
  },
  {
    name: 'the orchestrator restarts a process whose database is busy',
    story: 'Nothing asks the database whether it works for the connections of the pool.',
    plant: {
      symbol: 'ConnectionPool.isExhausted',
      with: (isExhausted: (milliseconds: number) => Promise<boolean>) =>
        async function (this: { readonly wasExhausted?: boolean }, milliseconds: number) {
          const wasExhausted = this.wasExhausted || (await isExhausted.call(this, milliseconds));
          return Object.assign(this, { wasExhausted }).wasExhausted;
        },
    },
    caughtBy: ['orm/connection-pool'],
  },
];

/** Each breaks a promise of `docs/guarantees.md`. */
export const bugs: readonly Bug[] = [
  ...changes,
  ...changeLog,
  ...stale,
  ...misunderstandings,
  ...loginBugs,
  ...replies,
  ...changeLogBugs,
  ...listsBugs,
  ...columnKindsBugs,
  ...soundRowsBugs,
  ...lostSessionsBugs,
  ...severalProcessesBugs,
  ...plainRowsBugs,
  ...connectionMemoryBugs,
  ...startupBugs,
  ...writeBugs,
  ...writerSessionBugs,
  ...dcrfBugs,
  ...proxyBugs,
  ...requests,
  ...rights,
  ...identity,
  ...limits,
  ...inboundBugs,
  ...outbound,
  ...client,
  ...database,
];

// What the faults above have to know of what they replace.

interface TransactionEvent {
  readonly em: EntityManager;
  readonly transaction?: { readonly savepointName?: string } | undefined;
}

/** As much of the commit buffer as is needed. */
interface LoggedRow {
  readonly constructor: new (...given: unknown[]) => object;
  readonly em: EntityManager;
  readonly meta: unknown;
  readonly stored: unknown;
  readonly schema: unknown;
}

interface Stages {
  find(transaction: object): Stage;
  released(event: TransactionEvent): void;
}

interface Stage {
  readonly parent?: Stage;
  readonly works: (() => unknown)[];
}

type Subscribed = { readonly receiver: object };
type Noted = { readonly wasThere: boolean };
type Running = [connection: object, statement: { readonly text: string }, parameters: readonly unknown[]];
type EventInput = [listening: readonly string[], before: readonly string[], after: readonly string[]];
type Receiver = (payload: unknown) => unknown;
type Finding = [entity: unknown, where: unknown, options?: { readonly lockMode?: unknown }];

interface ChannelConnector {
  connect(channel: string, receiver: () => void): Promise<void>;
}

interface SubscriptionBook {
  of(observer: unknown): readonly { readonly requestId: unknown }[];
}

interface FieldRights {
  readonly by: unknown;
  readonly fields: Readonly<Record<string, string | readonly string[]>>;
}

type Asking = [desk: unknown, stream: unknown, payload: unknown, kind: { readonly stays: boolean; lose(): void }];

interface LiveEvents {
  onEvent(listener: Receiver): unknown;
}

function fail(): never {
  throw new Error('The publisher threw again what it had caught.');
}

/** An entity manager whose forks begin no transaction. */
function withoutTransactions(em: EntityManager): EntityManager {
  const fork = (options: object): EntityManager => {
    const forked = em.fork(options);
    return Object.assign(forked, { transactional: (work: (em: EntityManager) => unknown) => work(forked) });
  };
  return Object.create(em, { fork: { value: fork } });
}

/** The pool's connections, outside of any transaction. */
function clientOf(em: EntityManager): unknown {
  return (em.getConnection('write') as unknown as { getClient(): unknown }).getClient();
}
