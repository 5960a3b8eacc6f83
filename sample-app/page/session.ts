import { SignalboxError } from 'signalbox/client';
import type { UserView } from './views.js';

export async function post(path: string, body: object = {}): Promise<void> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  await request(path, init);
}

/**
 * Who is logged in. Leads to the log-in page when nobody is.
 *
 * @throws SignalboxError when the server cannot be reached, with status 0
 */
export async function whoAmI(): Promise<UserView> {
  try {
    const response = await request('/api/me');
    return (await response.json()) as UserView;
  } catch (error) {
    if (!(error instanceof SignalboxError) || error.status !== 401) throw error;
    location.replace(`/log-in?next=${encodeURIComponent(location.pathname)}`);
    return left();
  }
}

/** Makes sure that the page shows who is logged in: in another tab somebody else may have logged in since. */
export async function confirmUser(shown: UserView): Promise<void> {
  const { id } = await whoAmI();
  if (id === shown.id) return;
  location.reload();
  await left();
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

/** On a page that the browser is leaving nothing goes on. */
function left(): Promise<never> {
  return new Promise(() => undefined);
}
