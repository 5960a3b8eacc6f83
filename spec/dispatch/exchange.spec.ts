import { expect } from 'chai';
import { Cancelled, Conflict, Disconnected } from 'signalbox';
import { Exchange } from '#signalbox/dispatch/exchange.js';
import type { Reply } from '#signalbox/wire/messages.js';

describe('An exchange', () => {
  let sent: Reply[];
  let exchange: Exchange;

  beforeEach(() => {
    sent = [];
    const request = { action: 'work', requestId: 1, kwargs: {} };
    exchange = new Exchange('ann:1', request, false, (reply) => sent.push(reply));
  });

  const told = () => sent.map(({ status, data }) => [status, data]);

  it('has any number of parts and one final reply, whatever comes behind it', () => {
    exchange.start();
    exchange.part('1');
    exchange.part('2');
    exchange.succeed({ status: 200, data: '3' });
    exchange.part('4');
    exchange.fail(new Conflict());
    exchange.abort(new Cancelled());
    exchange.succeed({ status: 200, data: '5' });
    expect(told()).to.deep.equal([
      [206, '1'],
      [206, '2'],
      [200, '3'],
    ]);
    expect(exchange.status).to.equal(200);
  });

  it('is answered at once where it is cancelled before it began, and by its work after that', () => {
    exchange.abort(new Cancelled());
    expect(told()).to.deep.equal([[499, 'null']]);
    const other = new Exchange('ann:2', exchange.request, false, (reply) => sent.push(reply));
    other.start();
    other.abort(new Cancelled());
    expect(other.isEnded).to.equal(false);
    expect(sent).to.have.length(1);
  });

  it('tells nobody once its client has left, and yet that it ended', () => {
    const ends: boolean[] = [];
    exchange.start();
    exchange.whenEnded((hasSucceeded) => ends.push(hasSucceeded));
    exchange.abort(new Disconnected());
    exchange.part('1');
    exchange.fail(new Conflict());
    expect(sent).to.deep.equal([]);
    expect(ends).to.deep.equal([false]);
    expect(exchange.status).to.equal(undefined);
  });
});
