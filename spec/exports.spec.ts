import { expect } from 'chai';
import * as signalbox from 'signalbox';
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
      'ApiConsumer',
      'ApiError',
      'BaseModelConsumer',
      'BaseModelSerializer',
      'Cancelled',
      'ChannelLayer',
      'Clock',
      'CloseCode',
      'ConfigurationError',
      'Conflict',
      'Consumer',
      'Create',
      'Delete',
      'DetailAction',
      'Disconnected',
      'GroupsForConsumer',
      'GroupsForSignal',
      'InMemoryChannelLayer',
      'IsAuthenticated',
      'List',
      'Logger',
      'ModelConsumer',
      'ModelObserver',
      'ModelSerializer',
      'NotAuthenticated',
      'NotFound',
      'ObserveInstance',
      'ParseError',
      'Patch',
      'PermissionDenied',
      'Permissions',
      'Retrieve',
      'Scope',
      'Serializer',
      'ServerClosing',
      'SignalboxError',
      'Status',
      'StreamNotFound',
      'Throttled',
      'TimeLimitExceeded',
      'UnexpectedError',
      'Update',
      'ValidationFailed',
      'all',
      'any',
      'createApp',
      'demultiplexer',
      'describePermission',
      'mix',
      'not',
      'path',
      'reply',
      'serializeMany',
      'serializeOne',
      'withOptions',
    ]);
  });

  it('of signalbox/testing are these', () => {
    expect(Object.keys(testing).sort()).to.deep.equal([
      'MemoryLogger',
      'MemoryTransport',
      'TestChannel',
      'TestClock',
      'TestConnection',
      'connect',
      'truncate',
    ]);
  });
});
