import { expect } from 'chai';
import { Action, ApiConsumer, ConfigurationError, Consumer } from 'signalbox';

@Consumer()
class WorkConsumer extends ApiConsumer {
  @Action()
  sync() {}

  @Action()
  async async() {}

  @Action({ atomic: false })
  looseSync() {}

  @Action({ atomic: true })
  async atomicAsync() {}

  @Action({ detached: true })
  async detached() {}

  @Action({ timeLimit: 5 })
  async quick() {}
}

function actionsWith(settings: Parameters<typeof completeSettings>[0]) {
  const actions = actionsOf(WorkConsumer, [], completeSettings(settings));
  return (name: string) => actions.get(name);
}

import { actionsOf } from '#signalbox/dispatch/actions.js';
import { completeSettings, defaultSettings, type GivenSettings } from '#signalbox/settings.js';

const known =
  'syncActionsAtomic, asyncActionsAtomic, actionTimeLimit, detachedActionTimeLimit, handshakeTimeLimit, ticketLifetime, maxPayload, maxViewAnswer, closeTimeout, channelLayerTimeLimit, grantTimeLimit, poolTimeLimit, tidyAfterConnections, origins, revealForbiddenObjects, trustedProxies, limits, outbound, heartbeat, drain, log, changeLog, development';

const proxies = 'Give addresses, networks such as "10.0.0.0/8", or "unix:" for Unix sockets.';

describe('Settings', () => {
  it('have defaults', () => {
    expect(completeSettings()).to.deep.equal({
      syncActionsAtomic: true,
      asyncActionsAtomic: false,
      actionTimeLimit: 15_000,
      detachedActionTimeLimit: 3_600_000,
      handshakeTimeLimit: 10_000,
      ticketLifetime: 30_000,
      maxPayload: 65_536,
      maxViewAnswer: 1_048_576,
      closeTimeout: 1_000,
      channelLayerTimeLimit: 10_000,
      grantTimeLimit: 30_000,
      poolTimeLimit: 60_000,
      tidyAfterConnections: false,
      origins: 'same',
      revealForbiddenObjects: false,
      trustedProxies: [],
      limits: defaultSettings.limits,
      outbound: {
        softLimit: 65_536,
        hardLimit: 1_048_576,
        totalLimit: 268_435_456,
        timeLimit: 10_000,
        groupSlice: 250,
      },
      heartbeat: { interval: 25_000, timeLimit: 10_000, idleTimeLimit: false, silentTimeLimit: false },
      drain: {
        delay: 4_000,
        actionTimeLimit: 10_000,
        rate: 400,
        spread: 25_000,
        retrySpread: 3_000,
        timeLimit: 28_000,
      },
      log: {
        actions: false,
        slowActionTime: 1_000,
        redacted: ['password', 'token', 'authorization', 'cookie', 'secret', 'credential', 'api_key', 'apikey'],
      },
      changeLog: {
        durability: 'unlogged',
        slotMinutes: 15,
        listen: true,
        pollInterval: 30_000,
        lagTimeLimit: 5_000,
        largestBatch: 50_000,
        largestBatchBytes: 67_108_864,
        largestEntry: 16_777_216,
        retryTimeLimit: 10_000,
        preparedStatements: true,
      },
      development: true,
    });
    expect(completeSettings({})).to.deep.equal(defaultSettings);
  });

  const accepted: readonly [string, unknown][] = [
    ['syncActionsAtomic', false],
    ['asyncActionsAtomic', true],
    ['actionTimeLimit', 1],
    ['detachedActionTimeLimit', 2_147_483_647],
    ['handshakeTimeLimit', 1],
    ['ticketLifetime', 60_000],
    ['maxPayload', 1],
    ['closeTimeout', 50],
    ['channelLayerTimeLimit', 1],
    ['grantTimeLimit', 0],
    ['poolTimeLimit', 1],
    ['tidyAfterConnections', 1_000],
    ['tidyAfterConnections', false],
    ['origins', 'any'],
    ['origins', 'same'],
    ['origins', []],
    ['origins', ['https://example.org', 'http://localhost:8080']],
    ['revealForbiddenObjects', true],
    ['trustedProxies', ['127.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8']],
    ['development', true],
  ];
  for (const [name, value] of accepted) {
    it(`take ${JSON.stringify(value)} for ${name}, and leave the rest`, () => {
      expect(completeSettings({ [name]: value })).to.deep.equal({ ...defaultSettings, [name]: value });
    });
  }

  it('take some of the limits, and leave the others', () => {
    expect(completeSettings({ limits: { groups: 7 } }).limits).to.deep.equal({ ...defaultSettings.limits, groups: 7 });
  });

  const refused: readonly [string, unknown, string][] = [
    ['maxPaylod', 1, `settings.maxPaylod: is no setting. Known are ${known}.`],
    ['toString', 1, `settings.toString: is no setting. Known are ${known}.`],
    ['constructor', 1, `settings.constructor: is no setting. Known are ${known}.`],
    ['syncActionsAtomic', 'yes', 'settings.syncActionsAtomic: is "yes". Give true or false.'],
    ['asyncActionsAtomic', 1, 'settings.asyncActionsAtomic: is 1. Give true or false.'],
    ['trustedProxies', '10.0.0.0/8', `settings.trustedProxies: is "10.0.0.0/8". ${proxies}`],
    ...['proxy.example.org', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '10.0.0/8', 7].map(
      (proxy): [string, unknown, string] => [
        'trustedProxies',
        ['::1', proxy],
        `settings.trustedProxies: has ${JSON.stringify(proxy)}. ${proxies}`,
      ],
    ),
    ['limits', 5, 'settings.limits: is 5. Give an object.'],
    ['limits', null, 'settings.limits: is null. Give an object.'],
    ['limits', { groups: 0 }, 'settings.limits.groups: is 0. Give a whole number from 1 to 2147483647.'],
    ['limits', { groups: undefined }, 'settings.limits.groups: is undefined. Give a whole number'],
    ['limits', { toString: 1 }, 'settings.limits.toString: is no limit. Known are messagesPerSecond, messageBurst, '],
    ['tidyAfterConnections', 0, 'settings.tidyAfterConnections: is 0. Give a whole number from 1 to 2147483647.'],
    ['tidyAfterConnections', true, 'settings.tidyAfterConnections: is true. Give a whole number from 1 to 2147483647.'],
    ['development', null, 'settings.development: is null. Give true or false.'],
    ['development', undefined, 'settings.development: is undefined. Give true or false.'],
    ['actionTimeLimit', 0, 'settings.actionTimeLimit: is 0. Give a whole number from 1 to 2147483647.'],
    ['actionTimeLimit', -1, 'settings.actionTimeLimit: is -1. Give a whole number from 1 to 2147483647.'],
    ['actionTimeLimit', '30', 'settings.actionTimeLimit: is "30". Give a whole number from 1 to 2147483647.'],
    [
      'detachedActionTimeLimit',
      Number.POSITIVE_INFINITY,
      'settings.detachedActionTimeLimit: is Infinity. Give a whole number from 1 to 2147483647.',
    ],
    ['maxPayload', 0.5, 'settings.maxPayload: is 0.5. Give a whole number from 1 to 2147483647.'],
    ['maxPayload', 2 ** 32, 'settings.maxPayload: is 4294967296. Give a whole number from 1 to 2147483647.'],
    ['closeTimeout', Number.NaN, 'settings.closeTimeout: is NaN. Give a whole number from 1 to 2147483647.'],
    ['closeTimeout', undefined, 'settings.closeTimeout: is undefined. Give a whole number from 1 to 2147483647.'],
    [
      'origins',
      ['https://example.org', 'example.com'],
      'settings.origins: has "example.com". Give "same", "any" or origins such as "https://example.org".',
    ],
    [
      'origins',
      ['https://example.org/'],
      'settings.origins: has "https://example.org/". Give "same", "any" or origins such as "https://example.org".',
    ],
    [
      'origins',
      ['https://*.example.org'],
      'settings.origins: has "https://*.example.org". Give "same", "any" or origins such as "https://example.org".',
    ],
    [
      'origins',
      ['https://Example.org'],
      'settings.origins: has "https://Example.org". Give "same", "any" or origins such as "https://example.org".',
    ],
    ['origins', ['null'], 'settings.origins: has "null". Give "same", "any" or origins such as "https://example.org".'],
    ['origins', [1], 'settings.origins: has 1. Give "same", "any" or origins such as "https://example.org".'],
    ['origins', ['*'], 'settings.origins: has "*". Give "same", "any" or origins such as "https://example.org".'],
    [
      'origins',
      'https://example.org',
      'settings.origins: is "https://example.org". Give "same", "any" or origins such as "https://example.org".',
    ],
    [
      'origins',
      undefined,
      'settings.origins: is undefined. Give "same", "any" or origins such as "https://example.org".',
    ],
  ];
  for (const [name, value, text] of refused) {
    it(`refuse ${typeof value === 'number' ? value : JSON.stringify(value)} for ${name}`, () => {
      expect(() => completeSettings({ [name]: value })).to.throw(ConfigurationError, text);
    });
  }

  it('refuse a bigint as what it is', () => {
    expect(() => completeSettings({ maxPayload: 10n as never })).to.throw(
      ConfigurationError,
      'settings.maxPayload: is 10. Give a whole number from 1 to 2147483647.',
    );
  });

  it('say which actions run in a transaction unless they say it themselves', () => {
    const usual = actionsWith({});
    expect(
      ['sync', 'async', 'loose_sync', 'atomic_async', 'detached'].map((name) => usual(name)?.atomic),
    ).to.deep.equal([true, false, false, true, false]);
    const turned = actionsWith({ syncActionsAtomic: false, asyncActionsAtomic: true });
    expect(
      ['sync', 'async', 'loose_sync', 'atomic_async', 'detached'].map((name) => turned(name)?.atomic),
    ).to.deep.equal([false, true, false, true, false]);
  });

  it('say how long actions may run unless they say it themselves', () => {
    const usual = actionsWith({});
    expect(['async', 'detached', 'quick'].map((name) => usual(name)?.timeLimit)).to.deep.equal([15_000, 3_600_000, 5]);
    const set = actionsWith({ actionTimeLimit: 7, detachedActionTimeLimit: 9 });
    expect(['async', 'detached', 'quick'].map((name) => set(name)?.timeLimit)).to.deep.equal([7, 9, 5]);
  });

  it('take some of a group, and leave the rest of it', () => {
    const { outbound, heartbeat, drain, log, changeLog } = completeSettings({
      outbound: { hardLimit: 65_536 },
      heartbeat: { idleTimeLimit: 60_000, silentTimeLimit: false },
      drain: { delay: 0 },
      log: { actions: false, redacted: ['pin'] },
      changeLog: { durability: 'logged', slotMinutes: 1, pollInterval: 30_000 },
    });
    expect(outbound).to.deep.equal({ ...defaultSettings.outbound, hardLimit: 65_536 });
    expect(heartbeat).to.deep.equal({ ...defaultSettings.heartbeat, idleTimeLimit: 60_000 });
    expect(drain).to.deep.equal({ ...defaultSettings.drain, delay: 0 });
    expect(log).to.deep.equal({ actions: false, slowActionTime: 1_000, redacted: ['pin'] });
    expect(changeLog).to.deep.equal({ ...defaultSettings.changeLog, durability: 'logged', slotMinutes: 1 });
  });

  for (const [variable, development, actions] of [
    [undefined, true, 'all'],
    ['development', true, 'all'],
    ['test', true, false],
    ['test', false, 'problems'],
    ['production', false, 'problems'],
    ['production', true, 'all'],
  ] as const) {
    it(`log ${actions || 'no'} actions where NODE_ENV is ${variable} and development ${development}, unless they say`, () => {
      const { NODE_ENV } = process.env;
      Object.assign(process.env, { NODE_ENV: variable ?? '' });
      try {
        expect(completeSettings({ development }).log.actions).to.equal(actions);
        expect(completeSettings({ development, log: { actions: 'problems' } }).log.actions).to.equal('problems');
      } finally {
        Object.assign(process.env, { NODE_ENV });
      }
    });
  }

  const count = 'Give a whole number from 1 to 2147483647.';
  const wrong: readonly [GivenSettings, string][] = [
    [{ outbound: { hardLimit: 0 } }, `settings.outbound.hardLimit: is 0. ${count}`],
    [{ heartbeat: { interval: 0.5 } }, `settings.heartbeat.interval: is 0.5. ${count}`],
    [{ heartbeat: { idleTimeLimit: true as never } }, `settings.heartbeat.idleTimeLimit: is true. ${count}`],
    [{ drain: { delay: -1 } }, `settings.drain.delay: is -1. ${count}`],
    [
      { heartbeat: { interval: 5_000 } },
      'settings.heartbeat.timeLimit: is 10000, and heartbeat.interval is 5000. Give at most heartbeat.interval, or raise that.',
    ],
    [
      { drain: { delay: 60_000 } },
      'settings.drain.delay: is 60000, and drain.timeLimit is 28000. Give at most drain.timeLimit, or raise that.',
    ],
    [
      { outbound: { softLimit: 2_000_000 } },
      'settings.outbound.softLimit: is 2000000, and outbound.hardLimit is 1048576. Give at most outbound.hardLimit, or raise that.',
    ],
    [
      { outbound: { totalLimit: 1_000_000 } },
      'settings.outbound.hardLimit: is 1048576, and outbound.totalLimit is 1000000. Give at most outbound.totalLimit, or raise that.',
    ],
    [{ limits: [] as never }, 'settings.limits: is []. Give an object.'],
    [{ outbound: [] as never }, 'settings.outbound: is []. Give an object.'],
    [null as never, 'createApp.settings: is null. Give an object.'],
    [5 as never, 'createApp.settings: is 5. Give an object.'],
    [{ drain: 5 as never }, 'settings.drain: is 5. Give an object.'],
    [
      { drain: { dealy: 1 } as never },
      'settings.drain.dealy: is no setting. Known are delay, actionTimeLimit, rate, spread, retrySpread, timeLimit.',
    ],
    [{ log: { actions: 'loud' as never } }, 'settings.log.actions: is "loud". Give "all", "problems" or false.'],
    [{ log: { slowActionTime: 0 } }, `settings.log.slowActionTime: is 0. ${count}`],
    [
      { changeLog: { durability: 'fast' as never } },
      'settings.changeLog.durability: is "fast". Give "unlogged" or "logged".',
    ],
    [
      { changeLog: { slotMinutes: 0 } },
      'settings.changeLog.slotMinutes: is 0. Give a whole number from 1 to 10080, which is a week.',
    ],
    [
      { changeLog: { slotMinutes: 10_081 } },
      'settings.changeLog.slotMinutes: is 10081. Give a whole number from 1 to 10080, which is a week.',
    ],
    [
      { changeLog: { slotMinutes: 1, pollInterval: 30_001 } },
      'settings.changeLog.pollInterval: is 30001, and changeLog.slotMinutes is 1. Give at most 30000, half of a slot, or raise changeLog.slotMinutes.',
    ],
    [{ changeLog: { pollInterval: 0 } }, `settings.changeLog.pollInterval: is 0. ${count}`],
    [
      { changeLog: { preparedStatements: 1 as never } },
      'settings.changeLog.preparedStatements: is 1. Give true or false.',
    ],
    [{ log: { redacted: [''] } }, 'settings.log.redacted: is [""]. Give a list of names such as "password".'],
  ];
  for (const [given, text] of wrong) {
    it(`refuse ${JSON.stringify(given)}`, () => {
      expect(() => completeSettings(given))
        .to.throw(ConfigurationError)
        .with.property('message', text);
    });
  }
});
