import { expect } from 'chai';
import { Action, ActionContext, ApiConsumer, Consumer, path } from 'signalbox';
import { ClientAddresses } from '#signalbox/server/client-address.js';
import { addressKey } from '#signalbox/server/rate-limit.js';
import { useServer } from '../support/serving.js';
import { SocketClient } from '../support/sockets.js';

function addressOf(proxies: readonly string[], remoteAddress: string, forwarded?: string | string[]) {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  return new ClientAddresses(proxies).of({ url: '/', headers, remoteAddress });
}

@Consumer()
class AddressConsumer extends ApiConsumer {
  @Action()
  async address({ scope }: ActionContext) {
    return scope.remoteAddress;
  }
}

describe('The address of a client', () => {
  it('is that of the socket, whatever the client writes, where no proxy is trusted', () => {
    expect(addressOf([], '203.0.113.9', '198.51.100.1')).to.equal('203.0.113.9');
    expect(addressOf(['10.0.0.1'], '203.0.113.9', '198.51.100.1')).to.equal('203.0.113.9');
  });

  const proxies = ['10.0.0.0/8', 'fd00::/8', '192.0.2.7'];
  const table: readonly [string, string, string | string[] | undefined, string][] = [
    ['what a trusted proxy says', '10.1.2.3', '203.0.113.9', '203.0.113.9'],
    ['that of the proxy, where it says nothing', '10.1.2.3', undefined, '10.1.2.3'],
    ['that of the proxy, where it says nonsense', '10.1.2.3', 'unknown', '10.1.2.3'],
    [
      'the last one that no trusted proxy added, whatever the client wrote before',
      '10.1.2.3',
      '1.1.1.1, 203.0.113.9',
      '203.0.113.9',
    ],
    ['found through several proxies', '10.1.2.3', '1.1.1.1, 203.0.113.9, 192.0.2.7, 10.9.9.9', '203.0.113.9'],
    ['found in several headers', '10.1.2.3', ['1.1.1.1, 203.0.113.9', '192.0.2.7'], '203.0.113.9'],
    ['the first, where all are proxies', '10.1.2.3', '10.0.0.5, 10.0.0.6', '10.0.0.5'],
    ['told behind an IPv4 proxy on an IPv6 socket', '::ffff:10.1.2.3', '::ffff:203.0.113.9', '203.0.113.9'],
    ['told with a port', '10.1.2.3', '203.0.113.9:4711', '203.0.113.9'],
    ['an IPv6 one', 'fd00::1', '[2001:db8::5]:4711', '2001:db8::5'],
  ];
  for (const [what, remoteAddress, forwarded, address] of table) {
    it(`is ${what}`, () => expect(addressOf(proxies, remoteAddress, forwarded)).to.equal(address));
  }

  it('counts as its /64 where it is IPv6', () => {
    expect(addressKey('203.0.113.9')).to.equal('203.0.113.9');
    for (const address of ['2001:db8:0:7::1', '2001:DB8::7:9:8:7:6', '2001:db8:0:7:ffff:ffff:ffff:ffff']) {
      expect(addressKey(address), address).to.equal('2001:db8:0:7::/64');
    }
    expect(addressKey('::1')).to.equal('0:0:0:0::/64');
    expect(addressKey('fe80::1%eth0')).to.equal('fe80:0:0:0::/64');
  });

  describe('over a real socket', () => {
    const serve = useServer();
    const headers = { 'x-forwarded-for': '1.1.1.1, 203.0.113.9' };

    for (const [trustedProxies, address] of [
      [[], '127.0.0.1'],
      [['127.0.0.0/8'], '203.0.113.9'],
    ] as const) {
      it(`stands in the scope as ${address}, where ${trustedProxies.length} proxies are trusted`, async () => {
        const { app } = serve([path('/', AddressConsumer)], { settings: { trustedProxies } });
        const { port } = await app.listen({ host: '127.0.0.1' });
        await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`, { headers });
        client.send({ action: 'address', request_id: 1 });
        expect(await client.receive()).to.include({ data: address });
      });
    }
  });
});
