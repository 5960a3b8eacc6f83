import { type ConnectionStatus, createClient } from 'signalbox/client';
import type { Api } from '../src/chat.js';
import { find } from './dom.js';
import { WatchedSocket } from './frames.js';
import { confirmUser } from './session.js';
import type { UserView } from './views.js';

export type ChatClient = ReturnType<typeof connect>;

/**
 * The chat client for the logged-in user. A page does not learn why an upgrade was refused, so the client requests the user
 * before each attempt to connect.
 *
 * @param begin called once, when the user is known
 */
export function connect(begin: (me: UserView) => void) {
  let hasBegun = false;
  const url = async () => {
    const me = await confirmUser();
    if (!hasBegun) {
      hasBegun = true;
      begin(me);
    }
    return `${location.origin.replace('http', 'ws')}/ws/chat/`;
  };
  // A browser keeps a socket for a while after the network is lost. This runs before the client notices the loss, so that the
  // page still says goodbye.
  addEventListener('offline', () => client.$reconnect());
  const client = createClient<Api>(url, { firstDelay: 500, maxDelay: 15_000, WebSocket: WatchedSocket });
  showStatus(client);
  return client;
}

interface Connecting {
  readonly $status: ConnectionStatus;
  $onStatus(listener: (status: ConnectionStatus) => void): unknown;
  $reconnect(): void;
}

/** How the lamp in the bar shows the connection. */
const lamps = {
  connecting: { state: 'connecting', text: 'Connecting…' },
  open: { state: 'open', text: 'Connected' },
  waiting: { state: 'lost', text: 'Connection lost. Reconnecting…' },
  offline: { state: 'lost', text: 'You are offline. Waiting for the network…' },
  stopped: { state: 'lost', text: 'The server ended the connection.' },
} as const;

type Shown = keyof typeof lamps;

function showStatus(client: Connecting): void {
  const lamp = find('#connection', HTMLElement);
  const text = find('#connection-text', HTMLElement);
  const retry = find('#connection-retry', HTMLButtonElement);
  let shown: Shown = 'connecting';

  const show = (status: ConnectionStatus) => {
    // During an attempt to reconnect the lamp still shows the loss, until the attempt has succeeded.
    if (status === 'connecting' || !(status in lamps)) return;
    shown = status as Shown;
    lamp.dataset.state = lamps[shown].state;
    document.body.dataset.connection = lamps[shown].state;
    if (text.textContent !== lamps[shown].text) text.textContent = lamps[shown].text;
    retry.hidden = lamps[shown].state !== 'lost';
  };
  client.$onStatus(show);
  show(client.$status);
  retry.addEventListener('click', () => client.$reconnect());
}
