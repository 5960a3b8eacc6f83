import { SignalboxError, type Subscription } from 'signalbox/client';
import { showAccount } from './account-bar.js';
import { type ChatClient, connect } from './client.js';
import { Composer } from './composer.js';
import { find } from './dom.js';
import { sentenceOf } from './errors.js';
import { lockSign } from './lock.js';
import { MemberPanel } from './member-panel.js';
import { MessageList } from './message-list.js';
import { showMissing } from './missing.js';
import { UserList } from './user-list.js';
import type { RoomUsersView, RoomView, UserView } from './views.js';

const pk = Number(location.pathname.split('/').at(-1));

const client = connect((me) => {
  showAccount(me);
  enter(me, client);
});

function enter(me: UserView, client: ChatClient): void {
  const { chat } = client;
  const messages = new MessageList(me);
  const users = new UserList(me);
  const members = new MemberPanel(me, {
    add: (username) => chat.addMember({ pk, username }),
    remove: (username) => chat.removeMember({ pk, username }),
  });

  const inside = chat.$on('onUsers', 'joinRoom', { pk }, ({ action, data }) => {
    if (action !== 'delete') showPeople(data);
  });
  const said = chat.$on('onMessage', 'subscribeToMessagesInRoom', { pk }, ({ action, data }) => {
    if (action === 'create') messages.add(data);
  });
  new Composer(client, say);

  whenLive(inside, showPeople);
  // The page subscribes before it reads the history: a message between the two comes twice, but is never missed.
  whenLive(said, loadHistory);
  for (const subscription of [inside, said]) leaveWith(subscription);

  /** The action is atomic: a leaving server that answers so has not stored the message, and the client asks the next server. */
  async function say(text: string): Promise<unknown> {
    try {
      return await chat.createMessage({ text }, { timeout: 0 });
    } catch (error) {
      if (error instanceof SignalboxError && error.code === 'server_closing') return say(text);
      throw error;
    }
  }

  function showPeople({ currentUsers, members: listed }: RoomUsersView): void {
    users.show(currentUsers);
    members.show(listed);
  }

  async function loadHistory(): Promise<void> {
    try {
      const room = await chat.retrieve({ pk }, { retry: true });
      showTitle(room);
      messages.merge(room.messages);
      if (room.isPrivate) members.open(room.host);
    } catch (error) {
      // Without a connection, the next subscription loads the history.
      if (error instanceof SignalboxError && error.status !== 0) showRefusal(error);
    }
  }
}

/** Runs now, and whenever the connection is back: events of the meantime do not come later. */
function whenLive<Reply>(subscription: Subscription<unknown, Reply>, show: (reply: Reply) => void): void {
  subscription.ready.then(show, () => undefined);
  subscription.onResync(show);
}

/** A removed member leaves the page at once, or when the page reconnects. */
function leaveWith(subscription: Subscription<unknown>): void {
  let wasInside = false;
  subscription.onChange((state) => {
    if (state === 'live') wasInside = true;
    else if (state === 'revoked' || (state === 'refused' && wasInside)) showRemoval();
    else if (subscription.error) showRefusal(subscription.error);
  });
}

function showTitle({ name, host, isPrivate }: RoomView): void {
  find('#room-name', HTMLElement).replaceChildren(...(isPrivate ? [lockSign(), ' '] : []), name);
  find('#room-host', HTMLElement).textContent = `opened by ${host.username}`;
  document.title = `${name} · Signalbox Chat`;
}

function showRefusal(error: SignalboxError): void {
  if (error.status === 404)
    showMissing(
      'There is no such room',
      'No room has this address, or it is private and you are not one of its members.',
    );
  else showMissing('This room cannot be entered', sentenceOf(error));
}

function showRemoval(): void {
  showMissing('You were removed from this room', 'You do not receive its messages any more.');
}
