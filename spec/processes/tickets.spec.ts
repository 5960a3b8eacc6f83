import { expect } from 'chai';
import { Follower } from '../support/follower.js';
import { useProcesses } from '../support/processes.js';
import { refusalOf } from '../support/sockets.js';

describe('Tickets of two applications', function () {
  this.timeout(60_000);
  const processes = useProcesses();

  afterEach(() => processes.there.resume());

  const refused = (port: number, ticket: string) => refusalOf(`ws://127.0.0.1:${port}/ws/?ticket=${ticket}`);
  const isRedeemed = (port: number, ticket: string): Promise<boolean> =>
    Follower.open(port, `ticket=${ticket}`).then(
      (follower) => follower[Symbol.asyncDispose]().then(() => true),
      () => false,
    );

  it('are good for one upgrade, at the other one too', async () => {
    const ticket = await processes.here.ask('issueTicket', '1');
    await using follower = await Follower.open(processes.there.ready.port, `ticket=${ticket}`);
    expect(await follower.ask('hello')).to.include({ response_status: 200 });
    for (const { ready } of [processes.here, processes.there])
      expect(await refused(ready.port, ticket)).to.include({ status: 401 });
  });

  it('are redeemed by one of two that come at once', async () => {
    for (let round = 0; round < 20; round += 1) {
      const ticket = await processes.here.ask('issueTicket', '1');
      const ports = [processes.here, processes.there].map(({ ready }) => ready.port);
      const redeemed = await Promise.all(ports.map((port) => isRedeemed(port, ticket)));
      expect(redeemed.filter(Boolean)).to.have.lengthOf(1);
    }
  });

  it('are worth nothing once their user was disconnected by the other one', async () => {
    const ticket = await processes.here.ask('issueTicket', '1');
    await processes.there.ask('disconnectUser', 1);
    await processes.here.ask('idle');
    expect(await refused(processes.here.ready.port, ticket)).to.include({ status: 401 });
  });

  it('are good where they were issued after that, also where a process hears of it late', async () => {
    processes.there.pause();
    await processes.here.ask('disconnectUser', 1);
    const ticket = await processes.here.ask('issueTicket', '1');
    processes.there.resume();
    await processes.there.ask('idle');
    await using follower = await Follower.open(processes.there.ready.port, `ticket=${ticket}`);
    expect(await follower.ask('hello')).to.include({ response_status: 200 });
  });
});
