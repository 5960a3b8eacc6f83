import { element, fill } from './dom.js';
import { jsonLine, jsonView } from './json-view.js';
import type { LiveSubscription, SeenChange, Session } from './session.js';
import { listed, reasonsFor } from './why.js';

/** The subscriptions of this connection, with the groups that they listen to. */
export function subscriptionsPanel(session: Session): HTMLElement {
  const items = session.subscriptions.map((one) => subscriptionItem(session, one));
  return element(
    'div',
    { class: 'stack' },
    items.length > 0
      ? element('ul', { class: 'stack' }, ...items)
      : element('p', { class: 'empty' }, 'There are none. Actions marked “live” subscribe.'),
  );
}

function subscriptionItem(session: Session, subscription: LiveSubscription): HTMLElement {
  const { stream, requestId, action, kwargs, events, state } = subscription;
  const isLive = state === 'live';
  const button = element(
    'button',
    { type: 'button', class: 'quiet small' },
    isLive ? 'Unsubscribe' : 'Subscribe again',
  );
  button.addEventListener('click', () =>
    isLive ? session.unsubscribe(subscription) : session.subscribeAgain(subscription),
  );
  const groups = session
    .stateOf(subscription)
    .map(({ member, groups: names }) =>
      element('p', {}, element('span', { class: 'hint' }, `${member} in `), element('code', {}, listed(names))),
    );
  return element(
    'li',
    { class: `card subscription ${state}` },
    element(
      'div',
      { class: 'row' },
      element('strong', {}, stream === null ? action : `${stream}.${action}`),
      element('span', { class: 'id' }, `#${requestId}`),
      element('span', { class: `badge ${isLive ? 'good' : 'danger'}` }, state),
      element('span', { class: 'hint grow' }, events === 1 ? '1 event' : `${events} events`),
      button,
    ),
    Object.keys(kwargs).length > 0 && element('p', {}, element('code', {}, jsonLine(kwargs))),
    ...groups,
  );
}

/** The commits that observers turned into events, and why each event reached this connection or not. */
export class ChangesPanel {
  readonly element = element('div', { class: 'stack' });
  readonly #list = element('ul', { class: 'stack' });

  constructor(private readonly session: Session) {
    const clear = element('button', { type: 'button', class: 'quiet small' }, 'Clear');
    clear.addEventListener('click', () => {
      session.clearChanges();
      this.show();
    });
    const introduction =
      'Every change that this process commits and an observer observes, by any connection, and whether this connection received it.';
    fill(
      this.element,
      element('div', { class: 'row' }, element('p', { class: 'hint grow' }, introduction), clear),
      this.#list,
    );
    this.show();
  }

  show(): void {
    const { changes } = this.session;
    const empty =
      'Nothing was committed yet. Writes that the ORM does not report (nativeUpdate, raw SQL) have to be announced.';
    fill(
      this.#list,
      ...changes
        .slice(-100)
        .reverse()
        .map((change) => this.#item(change)),
      changes.length === 0 && element('li', { class: 'empty' }, empty),
    );
  }

  #item(change: SeenChange): HTMLElement {
    const { subject, pk, change: kind, consumer, member, before, after, at } = change;
    const what = { create: 'created', update: 'updated', delete: 'deleted', signal: 'sent' }[kind];
    const reasons = reasonsFor(change, this.session);
    const isSent = reasons.some((reason) => reason.isSent);
    const key = pk === null ? '' : ` ${typeof pk === 'object' ? jsonLine(pk) : String(pk)}`;
    return element(
      'li',
      { class: `card change ${isSent ? 'sent' : 'withheld'}` },
      element(
        'div',
        { class: 'row' },
        element('span', { class: `badge ${isSent ? 'good' : ''}` }, isSent ? 'came' : 'did not come'),
        element('strong', { class: 'grow' }, `${subject}${key} `, element('span', { class: 'thin' }, what)),
        element('time', { class: 'hint', datetime: at.toISOString() }, at.toLocaleTimeString('en-GB')),
      ),
      element('p', { class: 'hint' }, 'Observed by ', element('code', {}, `${consumer}.${member}`)),
      element(
        'p',
        { class: 'groups' },
        element('span', { class: 'hint' }, 'Groups '),
        element('code', {}, listed(before)),
        element('span', { class: 'hint' }, ' before, '),
        element('code', {}, listed(after)),
        element('span', { class: 'hint' }, ' after'),
      ),
      ...reasons.map(({ text, subscribe }) =>
        element(
          'p',
          { class: 'why' },
          text,
          subscribe && ' To subscribe: ',
          subscribe &&
            element(
              'a',
              { href: `#action/${encodeURIComponent(subscribe.stream ?? '')}/${encodeURIComponent(subscribe.action)}` },
              subscribe.action,
            ),
        ),
      ),
    );
  }
}

/** The scope and the groups of this connection, from the server. */
export function scopePanel(session: Session): readonly HTMLElement[] {
  const { state } = session;
  if (!state) {
    const hint = session.status === 'open' ? 'The server has not reported it yet.' : 'There is no connection.';
    return [element('p', { class: 'empty' }, hint)];
  }
  const {
    path,
    params,
    query,
    headers,
    remoteAddress,
    subprotocol,
    user,
    session: ofUser,
    identity,
    streams,
    refused,
  } = state;
  const rows: readonly (readonly [string, unknown])[] = [
    ['user', user ?? null],
    ['identity', identity ?? null],
    ['session', ofUser ?? null],
    ['path', path],
    ['params', params],
    ['query', query],
    ['subprotocol', subprotocol],
    ['remoteAddress', remoteAddress],
  ];
  const groups = Object.entries(streams).map(([name, stream]) => {
    const own = [
      ...stream.groups,
      ...stream.subscriptions.flatMap((one) => one.groups.map((group) => `${one.member}/${group}`)),
    ];
    return element(
      'div',
      {},
      element('dt', {}, name === '' ? stream.consumer : name),
      element(
        'dd',
        {},
        own.length > 0 ? element('code', {}, [...new Set(own)].join(', ')) : element('span', { class: 'hint' }, 'none'),
      ),
    );
  });
  return [
    element(
      'section',
      { class: 'card' },
      element('h3', {}, 'Groups'),
      groups.length > 0
        ? element('dl', { class: 'table' }, ...groups)
        : element('p', { class: 'hint' }, 'No stream was used yet: a consumer is made at its first frame.'),
      refused.length > 0 && element('p', { class: 'error' }, `Refused streams: ${refused.join(', ')}.`),
    ),
    element(
      'section',
      { class: 'card' },
      element('h3', {}, 'Scope'),
      element(
        'dl',
        { class: 'table' },
        ...rows.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, shown(value)))),
      ),
    ),
    element('details', { class: 'card' }, element('summary', {}, 'Headers of the handshake'), jsonView(headers)),
  ];
}

function shown(value: unknown): HTMLElement {
  if (value === null || value === undefined) return element('span', { class: 'hint' }, 'none');
  if (typeof value !== 'object') return element('code', {}, String(value));
  return Object.keys(value).length === 0 ? element('span', { class: 'hint' }, 'none') : jsonView(value);
}
