import { find } from './dom.js';
import { whoAmI } from './session.js';
import { type ConnectionState, Socket } from './socket.js';

const texts: Readonly<Record<ConnectionState, string>> = {
  connecting: 'Connecting…',
  open: 'Connected',
  lost: 'Connection lost. Reconnecting…',
};

/** The socket of a page, and the lamp in its bar that shows how the socket fares. */
export function connect(): Socket {
  const lamp = find('#connection', HTMLElement);
  const text = find('#connection-text', HTMLElement);
  const retry = find('#connection-retry', HTMLButtonElement);
  let wasLost = false;

  const socket = new Socket('/ws/chat/', 'chat', (state) => {
    if (state === 'open') wasLost = false;
    if (state === 'lost') {
      wasLost = true;
      // The server may refuse because the session has ended; then this leads to the log-in page.
      void whoAmI();
    }
    const shown = wasLost ? 'lost' : state;
    lamp.dataset.state = shown;
    document.body.dataset.connection = shown;
    if (text.textContent !== texts[shown]) text.textContent = texts[shown];
    retry.hidden = shown !== 'lost';
  });
  retry.addEventListener('click', () => socket.retryNow());
  return socket;
}
