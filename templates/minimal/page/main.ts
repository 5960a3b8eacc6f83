import { createClient, live, SignalboxError } from 'signalbox/client';
import type { Api } from '../src/app.js';
import { element, find } from './dom.js';

const client = createClient<Api>(`${location.origin.replace('http', 'ws')}/ws/`);

/** All tasks, which the events of the subscription keep up to date; listed again after a lost connection. */
const tasks = live(client.tasks.$on('onTask', 'subscribeToTasks', {}), { list: () => client.tasks.list() });

const list = find('#tasks', HTMLUListElement);
const form = find('#new-task', HTMLFormElement);
const title = find('#title', HTMLInputElement);
const alert = find('#alert', HTMLElement);

tasks.subscribe(() => {
  const { rows, status, error } = tasks.getSnapshot();
  if (status === 'failed') show(error);
  if (status !== 'ready') return;
  const focused = document.activeElement?.id;
  list.replaceChildren(...rows.map(taskItem));
  if (focused) document.getElementById(focused)?.focus();
  list.removeAttribute('aria-busy');
  find('#empty', HTMLElement).hidden = rows.length > 0;
});

client.$onStatus((status) => {
  find('#status', HTMLElement).textContent = status === 'open' ? '' : 'Not connected. Trying again…';
});

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void attempt(async () => {
    await client.tasks.create({ data: { title: title.value.trim() } });
    form.reset();
  });
});

type Task = Awaited<ReturnType<typeof client.tasks.list>>[number];

function taskItem({ id, title, done }: Task): HTMLLIElement {
  const box = element('input', { type: 'checkbox', id: `done-${id}` });
  box.checked = done;
  box.addEventListener('change', () => attempt(() => client.tasks.patch({ pk: id, data: { done: box.checked } })));
  const button = element('button', { type: 'button', id: `delete-${id}`, 'aria-label': `Delete ${title}` }, 'Delete');
  button.addEventListener('click', () => attempt(() => client.tasks.delete({ pk: id })));
  return element('li', {}, element('label', {}, box, element('span', {}, title)), button);
}

async function attempt(work: () => Promise<unknown>): Promise<void> {
  alert.textContent = '';
  try {
    await work();
  } catch (error) {
    show(error);
  }
}

function show(error: unknown): void {
  alert.textContent = error instanceof SignalboxError ? error.message : 'Something went wrong. Reload the page.';
}
