import type { Api, ObserverDescription, StreamDescription } from './api.js';
import { element } from './dom.js';
import { shapeView } from './shape-view.js';

/** One observer: which events it sends, to which groups, and how to subscribe. */
export function observerPanel(
  api: Api,
  { stream, consumer }: StreamDescription,
  observer: ObserverDescription,
): HTMLElement {
  const { member, model, signal, groups, revokedBy, subscribedBy, actions, data, serializer, isLatest } = observer;
  const rows: readonly (readonly [string, Node | string])[] = [
    ['Observes', model ?? `the signal ${signal}`],
    ['Events', actions.join(', ')],
    ['Shown by', serializer ?? 'its key or a body of its own'],
    ['Groups of a row', groups ? code(`${consumer}.${groups.ofRow}`) : 'one that every subscription is in'],
    ['Of a subscription', groups ? code(`${consumer}.${groups.ofConsumer}`) : 'the same'],
    ...(revokedBy.length > 0 ? [['Asked again with', revokedBy.join(', ')] as const] : []),
    ...(isLatest ? [['Slow clients', 'may be sent the last of several changes only'] as const] : []),
  ];
  const link = (action: string): HTMLElement =>
    element(
      'a',
      { class: 'button', href: `#action/${encodeURIComponent(stream ?? '')}/${encodeURIComponent(action)}` },
      action,
    );
  return element(
    'div',
    { class: 'request' },
    element(
      'header',
      { class: 'heading' },
      element('h2', {}, stream !== null && element('span', { class: 'thin' }, `${stream}.`), member),
      element('p', { class: 'hint' }, 'Observer, ', code(`${consumer}.${member}`)),
    ),
    element(
      'dl',
      { class: 'card table' },
      ...rows.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]),
    ),
    element(
      'section',
      { class: 'card' },
      element('h3', {}, 'Subscribe'),
      subscribedBy.length > 0
        ? element('p', { class: 'links' }, ...subscribedBy.map(link))
        : element(
            'p',
            { class: 'hint' },
            'No action was found that names it in a call of ',
            code('this.subscribe'),
            '.',
          ),
    ),
    element(
      'details',
      { class: 'card', open: true },
      element('summary', {}, 'Data of its events: ', element('code', { class: 'summary-code' }, api.worded(data))),
      data ? shapeView(api, data) : element('p', { class: 'hint' }, 'Nothing is known of them.'),
    ),
  );
}

function code(text: string): HTMLElement {
  return element('code', {}, text);
}
