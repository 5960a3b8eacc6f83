import { expect } from 'chai';
import { Action, ApiConsumer, Consumer, demultiplexer, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { gate, success, useServer } from '../dcrf/wire-support.js';

const busy = gate();

@Consumer()
class PlainConsumer extends ApiConsumer {
  protected override onConnect(): Promise<void> {
    return busy.promise;
  }

  @Action()
  async list() {
    return [];
  }
}

@Consumer()
class PingConsumer extends ApiConsumer {
  @Action()
  async ping() {
    return 'mine';
  }
}

describe('A ping', () => {
  const serve = useServer();

  it('is answered at once, whatever its consumer is busy with', async () => {
    const { app } = await serve([path('/ws/', PlainConsumer)]);
    await using ann = await connect(app, '/ws/');
    ann.send({ action: 'ping' });
    expect(await ann.receive()).to.deep.equal(success('ping', null, null));
    ann.send({ action: 'ping', request_id: 'now' });
    expect(await ann.receive()).to.deep.equal(success('ping', 'now', null));
    busy.resolve();
  });

  it('needs no stream behind a demultiplexer', async () => {
    const { app } = await serve([path('/ws/', demultiplexer({ plain: PlainConsumer }))]);
    await using ann = await connect(app, '/ws/');
    ann.sendText('{"action": "ping"}');
    expect(await ann.receive()).to.deep.equal({ stream: null, payload: success('ping', null, null) });
  });

  it('goes to the consumer of a route that has an action of this name', async () => {
    const { app } = await serve([path('/ws/', PingConsumer)]);
    await using ann = await connect(app, '/ws/');
    expect(await ann.request('ping', { request_id: 1 })).to.deep.equal(success('ping', 1, 'mine'));
  });

  it('is none with anything else in the frame', async () => {
    const { app } = await serve([path('/ws/', demultiplexer({ plain: PingConsumer }))]);
    await using ann = await connect(app, '/ws/');
    ann.send({ action: 'ping', pk: 1 });
    expect(await ann.receive()).to.have.nested.include({ 'payload.response_status': 400 });
    expect(await ann.channel('plain').request('ping', { request_id: 1 })).to.deep.equal(success('ping', 1, 'mine'));
  });
});
