import { SignalboxError } from 'signalbox/client';
import { find } from './dom.js';
import { fieldErrors, sentenceOf } from './errors.js';
import { post } from './session.js';

const form = find('#account', HTMLFormElement);
const alert = find('#alert', HTMLElement);
const submit = find('#submit', HTMLButtonElement);
const username = find('#username', HTMLInputElement);
const password = find('#password', HTMLInputElement);
const reveal = find('#reveal', HTMLButtonElement);
const other = find('#other', HTMLAnchorElement);

// The page to open afterwards is kept on the way from log-in to sign-up and back.
other.search = location.search;

// The server says so if it has no users yet.
const first = document.querySelector<HTMLElement>('#first');
if (first) first.hidden = !new URLSearchParams(location.search).has('first');

// Until this script runs, the browser would send the form itself.
submit.disabled = false;
username.focus();
reveal.hidden = false;
reveal.addEventListener('click', () => {
  const isShown = password.type === 'password';
  password.type = isShown ? 'text' : 'password';
  reveal.setAttribute('aria-pressed', String(isShown));
  password.focus();
});

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void send();
});

async function send(): Promise<void> {
  showErrors();
  submit.disabled = true;
  try {
    await post(new URL(form.action).pathname, { username: username.value, password: password.value });
    location.assign(nextPage());
  } catch (error) {
    showErrors(error instanceof SignalboxError ? error : new SignalboxError({ errors: ['Something went wrong.'] }));
  } finally {
    submit.disabled = false;
  }
}

function showErrors(error?: SignalboxError): void {
  const isRefused = [username, password].map((field) =>
    showFieldError(field, error ? fieldErrors(error, field.name) : ''),
  );
  alert.textContent = error && !isRefused.includes(true) ? sentenceOf(error) : '';
  if (!error) return;
  if (isRefused[0]) username.focus();
  else if (isRefused[1]) password.focus();
  else password.select();
}

function showFieldError(field: HTMLInputElement, text: string): boolean {
  find(`#${field.id}-error`, HTMLElement).textContent = text;
  field.toggleAttribute('aria-invalid', text !== '');
  if (text) field.setAttribute('aria-invalid', 'true');
  return text !== '';
}

/** Only a path of this site: a link to the log-in page cannot lead elsewhere. */
function nextPage(): string {
  const next = new URLSearchParams(location.search).get('next') ?? '/';
  const url = new URL(next, location.origin);
  return url.origin === location.origin ? url.pathname : '/';
}
