import { once } from 'node:events';
import { WebSocket } from 'ws';

export interface Frame {
  readonly action: string;
  readonly request_id: number;
}

/** One socket of the load generator. */
export class Client {
  readonly #socket: WebSocket;
  onFrame: (frame: Frame) => void = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (text) => this.onFrame(JSON.parse(String(text)) as Frame));
  }

  static async open(port: number): Promise<Client> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    await once(socket, 'open');
    return new Client(socket);
  }

  send(payload: object): void {
    this.#socket.send(JSON.stringify(payload));
  }

  close(): void {
    this.#socket.terminate();
  }
}
