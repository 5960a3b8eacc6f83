import { ApiError, type App } from 'signalbox';
import { type ConnectOptions, connect } from 'signalbox/testing';

/** What a handshake is refused with. @throws Error if it is granted */
export async function refusal(app: App, url: string, options: ConnectOptions = {}): Promise<ApiError> {
  const connecting = connect(app, url, options);
  const error = await connecting.then(
    () => new Error(`${url} was not refused.`),
    (thrown: unknown) => thrown,
  );
  if (error instanceof ApiError) return error;
  throw error;
}
