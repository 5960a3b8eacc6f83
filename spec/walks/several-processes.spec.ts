import { expect } from 'chai';
import { Action, ApiConsumer, type App, Consumer, Groups, OnMessage, path } from 'signalbox';
import { RedisChannelLayer } from 'signalbox/redis';
import { connect } from 'signalbox/testing';
import { until, within } from '../support/deadline.js';
import { needsRedis, RedisServer } from '../support/redis.js';
import { useServer } from '../support/serving.js';

interface Shout {
  readonly type: 'shout';
  readonly text: string;
}

@Consumer()
@Groups('lobby')
class Lobby extends ApiConsumer {
  @Action()
  async address() {
    return this.channelName;
  }

  @OnMessage('shout')
  protected onShout({ text }: Shout) {
    this.sendJson({ text });
  }
}

describe('Two applications that share a Redis', () => {
  const serve = useServer();
  let server: RedisServer;
  let one: App;
  let other: App;

  before(async function () {
    needsRedis(this);
    server = await RedisServer.start();
  });
  beforeEach(async () => {
    await server.resume();
    const open = (): App => serve([path('/', Lobby)], { channelLayer: new RedisChannelLayer(server.url) }).app;
    one = open();
    other = open();
    await Promise.all([one.start(), other.start()]);
  });
  after(() => server?.kill());

  it('reach the groups and channels of each other', async () => {
    await using ann = await connect(one, '/');
    const { data: address } = await ann.request('address');
    await other.sendToGroup('lobby', { type: 'shout', text: 'to all' });
    await other.sendToChannel(String(address), { type: 'shout', text: 'to ann' });
    const heard = (): unknown[] => ann.frames.filter((frame) => 'text' in frame);
    await until(() => heard().length === 2, 'The messages');
    expect(heard()).to.deep.equal([{ text: 'to all' }, { text: 'to ann' }]);
  });

  it('serve on while it is away, are not ready, and begin anew when it is back', async () => {
    const ann = await connect(one, '/');
    await ann.request('address');
    await server.kill();
    await until(async () => !(await one.readiness()).channelLayer, 'The end of readiness');
    const refusal = await one.sendToGroup('lobby', { type: 'shout', text: 'lost' }).catch((error: unknown) => error);
    expect(refusal).to.include({ status: 503, code: 'unavailable' });
    const late = await connect(one, '/');
    expect(await late.request('address')).to.include({ response_status: 200 });
    await server.resume();
    const codes = await within(Promise.all([ann.closed, late.closed]), 'The closes');
    expect(codes).to.deep.equal([1013, 1013]);
    await using again = await connect(one, '/');
    await again.request('address');
    await until(
      async () => (await other.sendToGroup('lobby', { type: 'shout', text: 'hi' }).catch(() => 'no')) !== 'no',
      'The return',
    );
    await until(() => again.frames.some((frame) => 'text' in frame), 'The message');
  });
});
