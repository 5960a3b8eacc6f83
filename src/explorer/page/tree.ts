import type { ActionDescription, ObserverDescription, RouteDescription, StreamDescription } from './api.js';
import { element, fill, find } from './dom.js';
import type { Session } from './session.js';

/** The selected item of the tree. */
export type Selection =
  | { readonly kind: 'action'; readonly stream: StreamDescription; readonly action: ActionDescription }
  | { readonly kind: 'observer'; readonly stream: StreamDescription; readonly observer: ObserverDescription };

/** The hash of a selection, `#action/rooms/create`: it survives a reload, and can be sent to a colleague. */
export function hashOf(selection: Selection): string {
  const stream = encodeURIComponent(selection.stream.stream ?? '');
  const name = selection.kind === 'action' ? selection.action.name : selection.observer.member;
  return `#${selection.kind}/${stream}/${encodeURIComponent(name)}`;
}

export function selectionAt(hash: string, route: RouteDescription): Selection | undefined {
  const [kind, streamName = '', name = ''] = hash.slice(1).split('/').map(decodeURIComponent);
  const stream = route.streams.find((one) => (one.stream ?? '') === streamName);
  if (!stream) return undefined;
  const action = stream.actions.find((one) => one.name === name);
  if (kind === 'action' && action) return { kind, stream, action };
  const observer = stream.observers.find((one) => one.member === name);
  return kind === 'observer' && observer ? { kind, stream, observer } : undefined;
}

/** The list of all streams with their actions and observers. */
export function showTree(
  route: RouteDescription,
  session: Session,
  filter: string,
  selected: Selection | undefined,
): void {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (stream: StreamDescription, name: string): boolean =>
    words.every((word) => `${stream.stream ?? ''} ${name}`.toLowerCase().includes(word));
  const current = selected && hashOf(selected);
  const shown = route.streams.map((stream) => {
    const actions = stream.actions.filter(({ name }) => fits(stream, name));
    const observers = stream.observers.filter(({ member }) => fits(stream, member));
    if (actions.length + observers.length === 0) return null;
    return element(
      'section',
      { class: 'stream' },
      streamHeading(stream, session),
      element('ul', {}, ...actions.map((action) => item({ kind: 'action', stream, action }, current))),
      observers.length > 0 && element('h3', {}, 'Observers'),
      element('ul', {}, ...observers.map((observer) => item({ kind: 'observer', stream, observer }, current))),
    );
  });
  const isEmpty = shown.every((one) => one === null);
  fill(find('#tree'), ...shown, isEmpty && element('p', { class: 'empty' }, `Nothing is called “${filter}”.`));
}

function streamHeading({ stream, consumer, model }: StreamDescription, session: Session): HTMLElement {
  const isRefused = stream !== null && (session.state?.refused.includes(stream) ?? false);
  return element(
    'h2',
    { title: consumer },
    stream ?? consumer,
    model !== null && element('span', { class: 'model' }, model),
    isRefused &&
      element('span', { class: 'badge danger', title: 'Its permissions refused this connection.' }, 'refused'),
  );
}

function item(selection: Selection, current: string | undefined): HTMLElement {
  const hash = hashOf(selection);
  const isCurrent = hash === current;
  const [name, mark, title] =
    selection.kind === 'observer'
      ? [
          selection.observer.member,
          selection.observer.model ?? 'signal',
          `Events of ${selection.observer.model ?? 'a signal'}`,
        ]
      : [selection.action.name, markOf(selection.action), `${selection.stream.consumer}.${selection.action.member}`];
  return element(
    'li',
    {},
    element(
      'a',
      { href: hash, class: selection.kind, title, ...(isCurrent && { 'aria-current': 'true' }) },
      element('span', { class: 'name' }, ...breakable(name)),
      mark !== '' && element('span', { class: 'mark' }, mark),
    ),
  );
}

function markOf({ subscribesTo, sendsParts, isDetached }: ActionDescription): string {
  if (subscribesTo.length > 0) return 'live';
  if (sendsParts) return 'parts';
  return isDetached ? 'detached' : '';
}

/** A long name that can break after its underscores. */
function breakable(name: string): (string | HTMLElement)[] {
  return name.split(/(?<=_)/).flatMap((part, index) => (index === 0 ? [part] : [element('wbr'), part]));
}
