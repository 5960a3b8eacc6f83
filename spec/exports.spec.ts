import { expect } from 'chai';
import * as signalbox from 'signalbox';
import * as client from 'signalbox/client';
import * as explorer from 'signalbox/explorer';
import * as jsonWebTokens from 'signalbox/json-web-tokens';
import * as opentelemetry from 'signalbox/opentelemetry';
import * as react from 'signalbox/react';
import * as redis from 'signalbox/redis';
import * as testing from 'signalbox/testing';

/** What applications may import. A name that goes, or changes its meaning, breaks them. */
describe('The public names', () => {
  it('of signalbox are these', () => {
    expect(Object.keys(signalbox).sort()).to.deep.equal([
      'Action',
      'ActionContext',
      'ActionNotFound',
      'ActionReply',
      'AllowAny',
      'Announcer',
      'ApiConsumer',
      'ApiError',
      'BaseModelConsumer',
      'BaseModelSerializer',
      'BulkCreate',
      'BulkDelete',
      'BulkPatch',
      'Cancelled',
      'ChannelLayer',
      'ChannelLayerUnavailable',
      'Clock',
      'CloseCode',
      'ConfigurationError',
      'Conflict',
      'Connections',
      'Consumer',
      'Counters',
      'Create',
      'CursorPage',
      'CursorPaginator',
      'Delete',
      'Detached',
      'DetailAction',
      'Disconnected',
      'FilterBackend',
      'Groups',
      'GroupsForBoth',
      'GroupsForConsumer',
      'GroupsForSignal',
      'HandshakeTimedOut',
      'InMemoryChannelLayer',
      'InMemoryTicketStore',
      'IsAuthenticated',
      'LimitOffsetPage',
      'LimitOffsetPaginator',
      'List',
      'Logger',
      'MessageTooLarge',
      'ModelConsumer',
      'ModelObserver',
      'ModelSerializer',
      'NotAuthenticated',
      'NotFound',
      'NotifyChannelLayer',
      'NumberedPage',
      'ObserveInstance',
      'ObserveKinds',
      'ObserveRows',
      'Observer',
      'OnMessage',
      'OutcomeUnknown',
      'Overloaded',
      'Page',
      'PageNumberPaginator',
      'Paginator',
      'ParseError',
      'Patch',
      'PermissionDenied',
      'Permissions',
      'Rechecker',
      'Retrieve',
      'Revoked',
      'RevokedBy',
      'Scope',
      'Serializer',
      'ServerClosing',
      'SessionExpired',
      'Signal',
      'SignalboxError',
      'Status',
      'StreamClosed',
      'StreamNotFound',
      'StreamedList',
      'TerminalLogger',
      'Throttle',
      'Throttled',
      'Tickets',
      'TimeLimitExceeded',
      'Tracer',
      'Unavailable',
      'UnexpectedError',
      'UnflushedChanges',
      'Update',
      'ValidationFailed',
      'ViewFailed',
      'afterCommit',
      'all',
      'any',
      'bearerToken',
      'closeOn',
      'cookieSession',
      'createApp',
      'demultiplexer',
      'describePermission',
      'identityUser',
      'injectView',
      'mix',
      'nodeView',
      'not',
      'path',
      'queryTicket',
      'recheckOn',
      'reply',
      'route',
      'router',
      'serializeMany',
      'serializeOne',
      'subprotocolToken',
      'viewAsConsumer',
      'withOptions',
      'without',
      'writeChangeLog',
    ]);
  });

  it('of signalbox/explorer are these', () => {
    expect(Object.keys(explorer).sort()).to.deep.equal(['explorer', 'toAsyncApi']);
  });

  it('of signalbox/client are these', () => {
    expect(Object.keys(client).sort()).to.deep.equal([
      'SignalboxError',
      'binaryFrames',
      'createClient',
      'hear',
      'live',
      'webSocketWith',
    ]);
  });

  it('of signalbox/json-web-tokens are these', () => {
    expect(Object.keys(jsonWebTokens)).to.deep.equal(['jsonWebTokens']);
  });

  it('of signalbox/opentelemetry are these', () => {
    expect(Object.keys(opentelemetry).sort()).to.deep.equal(['OpenTelemetryCounters', 'OpenTelemetryTracer']);
  });

  it('of signalbox/redis are these', () => {
    expect(Object.keys(redis)).to.deep.equal(['RedisChannelLayer']);
  });

  it('of signalbox/testing are these', () => {
    expect(Object.keys(testing).sort()).to.deep.equal([
      'MemoryCounters',
      'MemoryLogger',
      'MemoryTransport',
      'TestChannel',
      'TestClock',
      'TestConnection',
      'connect',
      'truncate',
    ]);
  });

  it('of signalbox/react are these', () => {
    expect(Object.keys(react).sort()).to.deep.equal(['useLive', 'useStatus', 'useSubscription']);
  });
});
