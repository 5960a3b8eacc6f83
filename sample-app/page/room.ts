import { showAccount } from './account-bar.js';
import { Composer } from './composer.js';
import { connect } from './connection.js';
import { find } from './dom.js';
import { MessageList } from './message-list.js';
import { RequestError } from './request-error.js';
import { UserList } from './user-list.js';
import type { MessageView, RoomUsersView, RoomView, UserView } from './views.js';

const pk = Number(location.pathname.split('/').at(-1));
const me = await showAccount();
if (me) enter(me);
else showMissing('The server cannot be reached', 'Reload the page to try again.');

function enter(user: UserView): void {
  const messages = new MessageList(user);
  const users = new UserList(user);
  const socket = connect();

  socket.subscribe<RoomUsersView, RoomUsersView>(
    'join_room',
    { pk },
    {
      subscribed: ({ currentUsers }) => users.show(currentUsers),
      event: ({ currentUsers }) => users.show(currentUsers),
      refused: showRefusal,
    },
  );
  // Subscribed before the history is read: what is said between the two comes twice, which is better than never.
  socket.subscribe<null, MessageView>(
    'subscribe_to_messages_in_room',
    { pk },
    {
      subscribed: () => void loadHistory(),
      event: (message, action) => {
        if (action === 'create') messages.add(message);
      },
    },
  );
  new Composer((text) => socket.request('create_message', { text }));

  async function loadHistory(): Promise<void> {
    try {
      const room = await socket.request<RoomView>('retrieve', { pk });
      showTitle(room);
      messages.merge(room.messages);
    } catch (error) {
      // Without a connection the next subscribing loads it.
      if (error instanceof RequestError && error.status !== 0) showRefusal(error);
    }
  }
}

function showTitle({ name, host }: RoomView): void {
  find('#room-name', HTMLElement).textContent = name;
  find('#room-host', HTMLElement).textContent = `opened by ${host.username}`;
  document.title = `${name} · Signalbox Chat`;
}

function showRefusal(error: RequestError): void {
  if (error.status === 404)
    showMissing('There is no such room', 'It may never have existed. The lobby has the others.');
  else showMissing('This room cannot be entered', error.message);
}

function showMissing(title: string, text: string): void {
  find('#room', HTMLElement).hidden = true;
  find('#room-name', HTMLElement).textContent = 'Signalbox Chat';
  const missing = find('#missing', HTMLElement);
  missing.hidden = false;
  const heading = find('#missing-title', HTMLElement);
  heading.textContent = title;
  find('#missing-text', HTMLElement).textContent = text;
  heading.focus();
}
