/** The five keys of a frame's payload. */
export interface Frame {
  readonly action: string;
  readonly data: unknown;
  readonly errors: readonly unknown[];
  readonly response_status: number;
  readonly request_id: number | null;
}

interface Waiting {
  readonly matches: (frame: Frame) => boolean;
  readonly settle: (frame: Frame) => void;
}

const DEADLINE = 60_000;

/** A user without a browser: logs in by HTTP and uses a real WebSocket. Remembers all received frames. */
export class Visitor {
  readonly heard: string[] = [];
  /** The code with which the present socket is closed. */
  closed: Promise<number> | undefined;
  private cookie = '';
  private socket: WebSocket | undefined;
  private lastRequestId = 0;
  private readonly waiting = new Set<Waiting>();

  constructor(private readonly address: string) {}

  async post(path: string, body: unknown): Promise<{ status: number; body: string }> {
    const headers = { 'content-type': 'application/json', cookie: this.cookie };
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(this.address + path, { method: 'POST', headers, body: text });
    const [cookie] = response.headers.getSetCookie();
    if (cookie) this.cookie = cookie.split(';')[0] ?? '';
    const told = await response.text();
    this.heard.push(JSON.stringify([...response.headers]), told);
    return { status: response.status, body: told };
  }

  /** The same browser at another address. */
  at(address: string): Visitor {
    const visitor = new Visitor(address);
    visitor.cookie = this.cookie;
    return visitor;
  }

  async connect(): Promise<void> {
    const init = { headers: { cookie: this.cookie, origin: this.address } };
    const socket = new WebSocket(`${this.address.replace('http', 'ws')}/ws/chat/`, init);
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', ({ code }) => resolve(code));
    });
    socket.addEventListener('message', ({ data }) => this.hear(String(data)));
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error('The connection was refused.')));
    });
  }

  send(frame: string): void {
    this.socket?.send(frame);
  }

  /** The reply to one request. */
  async request(action: string, kwargs: object = {}): Promise<Frame> {
    const id = ++this.lastRequestId;
    const reply = this.next((frame) => frame.request_id === id && frame.action === action);
    this.send(JSON.stringify({ stream: 'chat', payload: { ...kwargs, action, request_id: id } }));
    return reply;
  }

  next(matches: (frame: Frame) => boolean): Promise<Frame> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`Nothing like it came. Heard:\n${this.heard.join('\n')}`)),
        DEADLINE,
      );
      const waiting: Waiting = {
        matches,
        settle: (frame) => {
          clearTimeout(late);
          this.waiting.delete(waiting);
          resolve(frame);
        },
      };
      this.waiting.add(waiting);
    });
  }

  disconnect(): void {
    this.socket?.close();
  }

  private hear(text: string): void {
    this.heard.push(text);
    const { payload } = JSON.parse(text) as { payload: Frame };
    for (const waiting of this.waiting) if (waiting.matches(payload)) waiting.settle(payload);
  }
}
