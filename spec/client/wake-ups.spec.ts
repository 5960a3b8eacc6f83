import { expect } from 'chai';
import type { Client } from 'signalbox/client';
import { FakeNetwork, settled } from './fake-network.js';

/** Node has none of what a browser tells of itself. */
class Surroundings {
  readonly events = new EventTarget();
  onLine = true;

  install(): void {
    const { events } = this;
    Object.assign(globalThis, {
      addEventListener: events.addEventListener.bind(events),
      removeEventListener: events.removeEventListener.bind(events),
    });
    Object.defineProperty(globalThis, 'navigator', { value: this, configurable: true });
  }

  remove(navigator: PropertyDescriptor | undefined): void {
    Reflect.deleteProperty(globalThis, 'addEventListener');
    Reflect.deleteProperty(globalThis, 'removeEventListener');
    if (navigator) Object.defineProperty(globalThis, 'navigator', navigator);
  }

  tell(name: string): void {
    this.events.dispatchEvent(new Event(name));
  }
}

describe('A client in a browser', () => {
  const own = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  let browser: Surroundings;
  let network: FakeNetwork;
  let client: Client<object>;
  beforeEach(async () => {
    browser = new Surroundings();
    browser.install();
    network = new FakeNetwork();
    client = network.createClient();
    await network.open();
  });
  afterEach(() => {
    client.$close();
    browser.remove(own);
  });

  it('comes back at once when the network does', async () => {
    const told: string[] = [];
    client.$onStatus((status) => told.push(status));
    network.socket.drop();
    browser.onLine = false;
    browser.tell('offline');
    expect(client.$status).to.equal('offline');
    browser.onLine = true;
    browser.tell('online');
    await network.open();
    expect(told).to.deep.equal(['waiting', 'offline', 'connecting', 'open']);
  });

  it('comes back at once when its page is looked at', async () => {
    network.socket.drop();
    browser.tell('visibilitychange');
    await settled();
    expect([client.$status, network.sockets.length]).to.deep.equal(['connecting', 2]);
  });

  it('asks an open connection for a sign of life, which may be dead without a word', async () => {
    browser.tell('online');
    expect(network.socket.sent).to.deep.equal([{ action: 'ping' }]);
    await network.advance(10_000);
    expect(client.$status).to.equal('waiting');
  });

  it('hears no more of it when it is closed', async () => {
    client.$close();
    browser.tell('online');
    await settled();
    expect(network.sockets).to.have.length(1);
  });
});
