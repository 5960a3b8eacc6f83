import { showAccount } from './account-bar.js';
import { connect } from './connection.js';
import { find } from './dom.js';
import { RequestError } from './request-error.js';
import { RoomList } from './room-list.js';
import type { RoomSummary } from './views.js';

const form = find('#open-room', HTMLFormElement);
const name = find('#name', HTMLInputElement);
const alert = find('#alert', HTMLElement);
const submit = find('#submit', HTMLButtonElement);
const rooms = new RoomList(
  find('#rooms', HTMLUListElement),
  find('#empty', HTMLElement),
  find('#no-match', HTMLElement),
);

void showAccount();
const socket = connect();
socket.subscribe<null, RoomSummary>(
  'subscribe_to_rooms',
  {},
  {
    subscribed: () => void loadRooms(),
    event: (room) => rooms.put(room),
  },
);

name.addEventListener('input', () => {
  alert.textContent = '';
  rooms.filter(name.value);
  submit.textContent = rooms.named(name.value) ? 'Enter' : 'Open room';
});

submit.disabled = false;
form.addEventListener('submit', (event) => {
  event.preventDefault();
  void open(name.value.trim());
});

async function loadRooms(): Promise<void> {
  try {
    rooms.show(await socket.request<RoomSummary[]>('list'));
  } catch (error) {
    if (error instanceof RequestError && error.status !== 0) alert.textContent = error.message;
  }
}

/** Enters the room of this name, which may have to be created first. */
async function open(wanted: string): Promise<void> {
  if (!wanted) return name.focus();
  const known = rooms.named(wanted);
  if (known) return enter(known);
  submit.disabled = true;
  try {
    enter(await socket.request<RoomSummary>('create', { data: { name: wanted } }));
  } catch (error) {
    // Somebody else may have opened it a moment ago; then it is there to be entered.
    await loadRooms();
    const opened = rooms.named(wanted);
    if (opened) return enter(opened);
    alert.textContent = error instanceof Error ? error.message : 'Something went wrong.';
    name.focus();
  } finally {
    submit.disabled = false;
  }
}

function enter({ id }: RoomSummary): void {
  location.assign(`/rooms/${id}`);
}
