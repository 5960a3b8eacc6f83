import { live, SignalboxError } from 'signalbox/client';
import { showAccount } from './account-bar.js';
import { connect } from './client.js';
import { find } from './dom.js';
import { sentenceOf } from './errors.js';
import { RoomList } from './room-list.js';
import type { RoomSummary } from './views.js';

const form = find('#open-room', HTMLFormElement);
const name = find('#name', HTMLInputElement);
const isPrivate = find('#private', HTMLInputElement);
const alert = find('#alert', HTMLElement);
const submit = find('#submit', HTMLButtonElement);
const list = new RoomList(
  find('#rooms', HTMLUListElement),
  find('#empty', HTMLElement),
  find('#no-match', HTMLElement),
);

const client = connect(showAccount);
const rooms = live(client.chat.$on('onRoom', 'subscribeToRooms', {}), { list: () => client.chat.list() });

rooms.subscribe(() => {
  const { rows, status, error } = rooms.getSnapshot();
  if (status === 'failed') alert.textContent = sentenceOf(error);
  if (status !== 'ready') return;
  list.show(rows);
  showChoice();
});

name.addEventListener('input', () => {
  alert.textContent = '';
  list.filter(name.value);
  showChoice();
});

submit.disabled = false;
form.addEventListener('submit', (event) => {
  event.preventDefault();
  void open(name.value.trim());
});

/** Explains the two kinds of rooms for opening one, but not for entering one. */
function showChoice(): void {
  const isKnown = list.named(name.value) !== undefined;
  submit.textContent = isKnown ? 'Enter' : 'Open room';
  isPrivate.disabled = isKnown;
}

/** Enters the room of this name, which may have to be created first. */
async function open(wanted: string): Promise<void> {
  if (!wanted) return name.focus();
  const known = list.named(wanted);
  if (known) return enter(known);
  submit.disabled = true;
  try {
    enter(await client.chat.create({ data: { name: wanted, isPrivate: isPrivate.checked } }));
  } catch (error) {
    // Another user may just have opened it; then the user enters it.
    const opened = list.named(wanted);
    if (opened) return enter(opened);
    alert.textContent = isTaken(error) ? 'This name is taken. Choose another one.' : sentenceOf(error);
    name.focus();
  } finally {
    submit.disabled = false;
  }
}

/** Whether a private room of others, which is not in the list, has this name. */
function isTaken(error: unknown): boolean {
  return error instanceof SignalboxError && error.status === 409;
}

function enter({ id }: Pick<RoomSummary, 'id'>): void {
  location.assign(`/rooms/${id}`);
}
