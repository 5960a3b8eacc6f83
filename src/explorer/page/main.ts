import { ChangesPanel, scopePanel, subscriptionsPanel } from './activity.js';
import { type Api, loadApi, type RouteDescription } from './api.js';
import { announce, element, fill, find, revealTab, tabKeys } from './dom.js';
import { observerPanel } from './observer-panel.js';
import { RequestPanel } from './request-panel.js';
import { type Entry, Session, type Target } from './session.js';
import { TimeLine } from './time-line.js';
import { hashOf, type Selection, selectionAt, showTree } from './tree.js';

const statusTexts = {
  closed: 'Closed',
  connecting: 'Connecting',
  open: 'Open',
  waiting: 'Waiting for the server',
  refused: 'Refused',
} as const;

const tabs = ['Frames', 'Subscriptions', 'Changes', 'Connection'] as const;
type Tab = (typeof tabs)[number];

/** The page: one route, one connection, one selected item. */
class Page {
  #target: Target;
  #selection: Selection | undefined;
  #request: RequestPanel | undefined;
  #unseen = 0;
  readonly #session: Session;
  readonly #timeLine: TimeLine;
  readonly #changes: ChangesPanel;
  readonly #options = element('form', { class: 'card', 'aria-label': 'Connection', novalidate: true });
  readonly #scope = element('div', { class: 'stack' });

  constructor(
    private api: Api,
    private route: RouteDescription,
  ) {
    this.#target = { route, parameters: {}, query: '', subprotocols: [] };
    this.#session = new Session({
      status: () => this.#showStatus(),
      entry: (entry) => this.#showEntry(entry),
      state: () => this.#showState(),
      change: () => this.#showChanges(),
      restarted: () => void this.#reload(),
    });
    this.#timeLine = new TimeLine(this.#session, (text) => this.#useFrame(text));
    this.#changes = new ChangesPanel(this.#session);
  }

  start(): void {
    this.#fillRoutes();
    this.#fillTabs();
    this.#fillOptions();
    this.#listen();
    this.#session.target = this.#target;
    this.#select(selectionAt(location.hash, this.route) ?? this.#first());
    this.#showStatus();
    if (this.#isComplete()) this.#session.connect(this.#target);
    else this.#show('Connection');
  }

  #listen(): void {
    addEventListener('hashchange', () => {
      const selection = selectionAt(location.hash, this.route);
      if (!selection) return;
      this.#select(selection);
      this.#view('request');
      find('#main').scrollTop = 0;
    });
    find('#toggle').addEventListener('click', () => this.#toggle());
    // A developer who logs in on another page returns to this one.
    document.addEventListener('visibilitychange', () => {
      const isBack = document.visibilityState === 'visible' && this.#session.status === 'refused';
      if (isBack) this.#session.connect(this.#target);
    });
    const filter = find<HTMLInputElement>('#filter');
    filter.addEventListener('input', () => this.#showTree());
    addEventListener('keydown', (event) => {
      const isTyping = event.target instanceof HTMLElement && event.target.matches('input, textarea, select');
      if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.#view('api');
      filter.focus();
    });
    for (const button of find('#views').querySelectorAll('button')) {
      button.addEventListener('click', () => this.#view(button.dataset['view'] ?? 'request'));
    }
  }

  #toggle(): void {
    const isOn = ['open', 'connecting', 'waiting'].includes(this.#session.status);
    if (isOn) this.#session.disconnect();
    else this.#options.requestSubmit();
  }

  /** Whether all parameters of the path are filled in; without them the path leads nowhere. */
  #isComplete(): boolean {
    return this.route.parameters.every(({ name }) => (this.#target.parameters[name] ?? '') !== '');
  }

  #fillRoutes(): void {
    const select = find<HTMLSelectElement>('#route');
    fill(select, ...this.api.routes.map(({ path }, index) => element('option', { value: index }, path)));
    select.selectedIndex = this.api.routes.indexOf(this.route);
    select.onchange = () => {
      const route = this.api.routes[select.selectedIndex];
      if (!route) return;
      this.#session.disconnect();
      this.route = route;
      this.#target = { route, parameters: {}, query: '', subprotocols: [] };
      this.#session.target = this.#target;
      this.#fillOptions();
      this.#select(this.#first());
      if (this.#isComplete()) this.#session.connect(this.#target);
      else this.#show('Connection');
    };
  }

  #fillOptions(): void {
    const inputs = this.route.parameters.map(({ name, kind }) => {
      const input = element('input', {
        type: 'text',
        id: `parameter-${name}`,
        name,
        autocomplete: 'off',
        class: 'short',
      });
      return element(
        'div',
        { class: 'field' },
        element('label', { for: input.id }, name, element('span', { class: 'needed' }, ' required')),
        element('span', { class: 'hint' }, kind === 'text' ? 'part of the path' : `part of the path, ${kind}`),
        input,
      );
    });
    const query = element('input', {
      type: 'text',
      id: 'query',
      autocomplete: 'off',
      class: 'code',
      placeholder: 'ticket=…',
    });
    const subprotocols = element('input', {
      type: 'text',
      id: 'subprotocols',
      autocomplete: 'off',
      class: 'code',
      placeholder: 'signalbox, bearer.…',
    });
    fill(
      this.#options,
      element('h3', {}, 'How to connect'),
      element('p', { class: 'hint' }, 'The cookies of this browser go along: log in on a page of the application.'),
      ...inputs,
      element('div', { class: 'field' }, element('label', { for: 'query' }, 'Query'), query),
      element(
        'div',
        { class: 'field' },
        element('label', { for: 'subprotocols' }, 'Subprotocols'),
        element('span', { class: 'hint' }, 'where a token is, separated by commas'),
        subprotocols,
      ),
      element('div', { class: 'actions' }, element('button', { type: 'submit', class: 'primary' }, 'Connect')),
    );
    this.#options.onsubmit = (event) => {
      event.preventDefault();
      const parameters = Object.fromEntries(
        this.route.parameters.map(({ name }) => [name, find<HTMLInputElement>(`#parameter-${CSS.escape(name)}`).value]),
      );
      const offered = subprotocols.value
        .split(',')
        .map((one) => one.trim())
        .filter(Boolean);
      this.#target = { route: this.route, parameters, query: query.value.replace(/^\?/, ''), subprotocols: offered };
      if (this.#isComplete()) return this.#session.connect(this.#target);
      announce('Every parameter of the path is needed.');
      this.#show('Connection');
    };
  }

  #fillTabs(): void {
    const list = find('#tabs');
    const contents: Readonly<Record<Tab, HTMLElement>> = {
      Frames: this.#timeLine.element,
      Subscriptions: element('div', { id: 'subscriptions' }),
      Changes: this.#changes.element,
      Connection: element('div', { class: 'stack' }, this.#options, this.#scope),
    };
    fill(
      list,
      ...tabs.map((name, index) => {
        const button = element(
          'button',
          { type: 'button', role: 'tab', id: `tab-${index}`, 'aria-controls': `panel-${index}`, 'data-tab': name },
          name,
          element('span', { class: 'count', hidden: true }),
        );
        button.addEventListener('click', () => this.#show(name));
        return button;
      }),
    );
    tabKeys(list);
    fill(
      find('#panels'),
      ...tabs.map((name, index) =>
        element(
          'div',
          {
            id: `panel-${index}`,
            class: 'panel',
            role: 'tabpanel',
            'aria-labelledby': `tab-${index}`,
            'data-tab': name,
          },
          contents[name],
        ),
      ),
    );
    this.#show('Frames');
    this.#showState();
  }

  /** Shows one of the tabs of the activity. */
  #show(tab: Tab): void {
    for (const one of document.querySelectorAll<HTMLElement>('#tabs [role=tab]')) {
      const isOn = one.dataset['tab'] === tab;
      one.setAttribute('aria-selected', String(isOn));
      one.tabIndex = isOn ? 0 : -1;
      if (isOn) revealTab(one);
    }
    for (const panel of document.querySelectorAll<HTMLElement>('#panels [role=tabpanel]')) {
      panel.hidden = panel.dataset['tab'] !== tab;
    }
    if (tab === 'Connection' && this.#session.status !== 'open') this.#view('activity');
  }

  /** Shows one of the three views; a small screen has room for one. */
  #view(view: string): void {
    document.body.dataset['view'] = view;
    for (const button of find('#views').querySelectorAll('button')) {
      if (button.dataset['view'] === view) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
    if (view === 'activity') this.#unseen = 0;
    this.#showUnseen();
  }

  #select(selection: Selection | undefined): void {
    this.#selection = selection;
    this.#request = undefined;
    if (!selection) {
      fill(find('#main'), element('p', { class: 'empty' }, 'There is nothing to call at this path.'));
    } else if (selection.kind === 'observer') {
      fill(find('#main'), observerPanel(this.api, selection.stream, selection.observer));
    } else {
      this.#request = new RequestPanel(this.api, this.#session, selection.stream, selection.action);
      fill(find('#main'), this.#request.element);
    }
    if (selection && location.hash !== hashOf(selection)) history.replaceState(null, '', hashOf(selection));
    this.#showTree();
  }

  #first(): Selection | undefined {
    const stream = this.route.streams.find(({ actions }) => actions.length > 0);
    const [action] = stream?.actions ?? [];
    return stream && action && { kind: 'action', stream, action };
  }

  #useFrame(text: string): void {
    const entry = this.#session.entries.findLast((one) => one.text === text);
    const stream = this.route.streams.find((one) => one.stream === entry?.stream);
    const action = stream?.actions.find(
      ({ name, aliases }) => name === entry?.action || aliases.includes(entry?.action ?? ''),
    );
    if (stream && action) this.#select({ kind: 'action', stream, action });
    this.#view('request');
    this.#request?.takeFrame(text);
  }

  #showTree(): void {
    showTree(this.route, this.#session, find<HTMLInputElement>('#filter').value, this.#selection);
  }

  #showStatus(): void {
    const { status, reason } = this.#session;
    const shown = find('#status');
    shown.dataset['status'] = status;
    shown.textContent = statusTexts[status];
    shown.title = reason;
    const isOn = ['open', 'connecting', 'waiting'].includes(status);
    find('#toggle').textContent = isOn ? 'Disconnect' : 'Connect';
    find('button[type=submit]', this.#options).textContent = isOn ? 'Reconnect' : 'Connect';
    this.#request?.showStatus();
    announce(`${statusTexts[status]}. ${reason}`);
    if (status === 'refused') this.#show('Frames');
    this.#showTree();
  }

  #showEntry(entry: Entry): void {
    this.#timeLine.add(entry);
    this.#request?.showEntry(entry);
    if (entry.kind === 'event') announce(`Event ${entry.action} for request ${entry.requestId}.`);
    if (document.body.dataset['view'] !== 'activity' && entry.kind !== 'sent') this.#unseen += 1;
    this.#showUnseen();
  }

  #showUnseen(): void {
    const badge = find('#unseen');
    badge.hidden = this.#unseen === 0;
    badge.textContent = String(this.#unseen);
  }

  #showState(): void {
    const panel = document.querySelector('#subscriptions');
    if (!panel) return;
    fill(panel, subscriptionsPanel(this.#session));
    this.#count('Subscriptions', this.#session.subscriptions.filter(({ state }) => state === 'live').length);
    fill(this.#scope, ...scopePanel(this.#session));
    this.#showChanges();
    this.#showTree();
  }

  #showChanges(): void {
    this.#changes.show();
    this.#count('Changes', this.#session.changes.length);
  }

  #count(tab: Tab, count: number): void {
    const shown = find(`[role=tab][data-tab="${tab}"] .count`);
    shown.hidden = count === 0;
    shown.textContent = String(count);
  }

  /** Reloads the description after the server was unreachable: the application may have changed. */
  async #reload(): Promise<void> {
    const api = await loadApi().catch(() => undefined);
    if (!api || JSON.stringify(api.description) === JSON.stringify(this.api.description)) return;
    const route = api.routes.find(({ path }) => path === this.route.path) ?? api.routes[0];
    if (!route) return;
    this.api = api;
    this.route = route;
    this.#target = { ...this.#target, route };
    this.#session.target = this.#target;
    this.#fillRoutes();
    this.#select(selectionAt(location.hash, route) ?? this.#first());
    announce('The application offers something else now.');
  }
}

function chooseTheme(): void {
  const button = find<HTMLButtonElement>('#theme');
  const names = { auto: 'as the system', light: 'light', dark: 'dark' } as const;
  const signs = { auto: '◐', light: '☀', dark: '☾' } as const;
  const stored = localStorage.getItem('signalbox explorer theme');
  let theme: keyof typeof names = stored === 'light' || stored === 'dark' ? stored : 'auto';
  const show = (): void => {
    document.documentElement.dataset['theme'] = theme;
    button.textContent = signs[theme];
    button.setAttribute('aria-label', `Theme: ${names[theme]}`);
    button.title = `Theme: ${names[theme]}`;
  };
  button.addEventListener('click', () => {
    theme = theme === 'auto' ? 'light' : theme === 'light' ? 'dark' : 'auto';
    localStorage.setItem('signalbox explorer theme', theme);
    show();
  });
  show();
}

async function start(): Promise<void> {
  chooseTheme();
  try {
    const api = await loadApi();
    const [route] = api.routes;
    if (route) new Page(api, route).start();
  } catch (error) {
    fill(find('#main'), element('p', { class: 'error' }, `The application could not be read: ${String(error)}`));
  }
}

void start();
