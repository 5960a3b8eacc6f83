import { SignalboxError } from 'signalbox/client';
import type { UserView } from './views.js';

export async function post(path: string, body: object = {}): Promise<void> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  await request(path, init);
}

/** The user whom the page shows; undefined until it is known. */
let shown: UserView | undefined;

/**
 * The user who is logged in. If no one is logged in, the page redirects to log-in; if a different user has logged in in another tab, it
 * reloads.
 *
 * @throws SignalboxError when the server cannot be reached, with status 0
 */
export async function confirmUser(): Promise<UserView> {
  const user = await whoAmI();
  if (!user) location.replace(`/log-in?next=${encodeURIComponent(location.pathname)}`);
  else if (shown && user.id !== shown.id) location.reload();
  else {
    shown = user;
    return user;
  }
  // The browser is leaving this page, so the code after this never runs.
  return new Promise(() => undefined);
}

async function whoAmI(): Promise<UserView | undefined> {
  try {
    const response = await request('/api/me');
    return (await response.json()) as UserView;
  } catch (error) {
    if (error instanceof SignalboxError && error.status === 401) return undefined;
    throw error;
  }
}

export async function logOut(): Promise<void> {
  await post('/api/log-out');
  location.assign('/log-in');
}

async function request(path: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(path, init).catch(() => {
    throw new SignalboxError({ errors: ['The server cannot be reached. Is your connection up?'] });
  });
  if (response.ok) return response;
  const body = (await response.json().catch(() => ({}))) as Partial<Pick<SignalboxError, 'errors' | 'code'>>;
  const { errors = ['Something went wrong. Please try again.'], code = 'error' } = body;
  throw new SignalboxError({ response_status: response.status, errors, code });
}
