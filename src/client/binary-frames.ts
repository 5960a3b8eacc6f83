import { decodeBinary, encodeBinary } from '../wire/binary.js';
import type { ClientControls } from './client-types.js';

/** The binary frames of one stream, or of a route without streams. */
export interface BinaryFrames {
  /** @returns whether the frame was sent. Without a connection it is dropped, because late bytes may be useless */
  send(data: Uint8Array): boolean;
  /** @returns a function that removes the listener */
  onFrame(listener: (data: Uint8Array) => void): () => void;
}

/** The names of streams: a client's streams are objects, its actions are functions, and names with `$` are the client's own. */
type StreamOf<Client> = {
  [Name in keyof Client & string]: Name extends `$${string}`
    ? never
    : Client[Name] extends (...parameters: never) => unknown
      ? never
      : Name;
}[keyof Client & string];

/** The name of the stream. An untyped client takes any name. */
type StreamParameter<Client> = [StreamOf<Client>] extends [never] ? [stream?: string] : [stream: StreamOf<Client>];

/**
 * Binary frames of a consumer with `@Consumer({ binary: true })`.
 *
 * ```ts
 * const sound = binaryFrames(client, 'recorder');
 * sound.send(new Uint8Array(await blob.arrayBuffer()));
 * ```
 *
 * @param stream leave it out on a route without streams
 */
export function binaryFrames<Client extends ClientControls>(
  client: Client,
  ...[stream]: StreamParameter<Client>
): BinaryFrames {
  return {
    send: (data) => client.$sendBinary(stream === undefined ? data : encodeBinary(stream, data)),
    onFrame: (listener) =>
      client.$onFrame((frame) => {
        if (!(frame instanceof ArrayBuffer)) return;
        const bytes = new Uint8Array(frame);
        if (stream === undefined) listener(bytes);
        else {
          const named = decodeBinary(bytes);
          if (named?.stream === stream) listener(named.data);
        }
      }),
  };
}
