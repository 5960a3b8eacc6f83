import { type ErrorDetail, RequestError } from './request-error.js';
import type { UserView } from './views.js';

export async function post(path: string, body: object = {}): Promise<void> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(path, init).catch(() => {
    throw new RequestError(0, ['The server cannot be reached. Is your connection up?']);
  });
  if (!response.ok) throw await errorOf(response);
}

async function errorOf(response: Response): Promise<RequestError> {
  const body = (await response.json().catch(() => ({}))) as { errors?: ErrorDetail[] };
  return new RequestError(response.status, body.errors ?? ['Something went wrong. Please try again.']);
}

/** Who is logged in. Leads to the log-in page when nobody is; undefined when the server cannot be reached. */
export async function whoAmI(): Promise<UserView | undefined> {
  const response = await fetch('/api/me').catch(() => undefined);
  if (response?.status === 401) location.replace(`/log-in?next=${encodeURIComponent(location.pathname)}`);
  return response?.ok ? ((await response.json()) as UserView) : undefined;
}

export async function logOut(): Promise<void> {
  await post('/api/log-out');
  location.assign('/log-in');
}
