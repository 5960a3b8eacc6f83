import { expect } from 'chai';
import {
  Consumer,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  type SerializerContext,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { entitiesMadeBy } from '../support/made-entities.js';
import { useServer } from '../support/serving.js';
import { trackIssues } from '../support/tracked-issues.js';
import { Issue, trackerModels } from '../support/tracker.js';

@injectable()
class DigestSerializer extends ModelSerializer(Issue, {
  fields: ['id', 'title'],
  computed: ['ended', 'place', 'words', 'later'],
  reads: { ended: ['closedAt', 'views'], place: ['project.name'], words: ['labels.name'], later: ['title'] },
}) {
  ended({ closedAt, views }: Pick<Issue, 'closedAt' | 'views'>) {
    return closedAt ? `${closedAt.getUTCFullYear()} after ${views && views / 1000n} thousand` : 'never';
  }
  place({ project }: { project: { name: string | null } | null }) {
    return project?.name ?? 'nowhere';
  }
  words({ labels }: { labels: readonly { name: string }[] }) {
    return labels.map(({ name }) => name).join(' ');
  }
  async later({ title }: Pick<Issue, 'title'>, { request }: SerializerContext) {
    return `${title} by ${request?.action ?? 'event'}`;
  }
}

@Consumer()
class DigestConsumer extends mix(
  ModelConsumer(Issue, { serializer: DigestSerializer }),
  List,
  Retrieve,
  Patch,
  ObserveInstance,
) {}

describe('A computed field that says what it reads', () => {
  const database = useDatabase('computed_reads', trackerModels);
  const serve = useServer();
  let issues: TestConnection;

  const crash = (by: string, title = 'Crash of 100%') => ({
    id: 1,
    title,
    ended: '2026 after 9007199254740 thousand',
    place: 'site',
    words: 'Red blue',
    later: `${title} by ${by}`,
  });

  beforeEach(async () => {
    await trackIssues(database.orm);
    const { app } = serve([path('/issues/', DigestConsumer)], { orm: database.orm });
    issues = await connect(app, '/issues/');
  });

  it('is called with just that, in lists and by retrieve, and makes no entity', async () => {
    const open = { ended: 'never', words: '' };
    const made = await entitiesMadeBy(async () => {
      expect((await issues.request('list')).data).to.deep.equal([
        crash('list'),
        { id: 2, title: 'slow crash', ...open, place: 'app', words: 'blue', later: 'slow crash by list' },
        { id: 3, title: 'typo', ...open, place: 'nowhere', later: 'typo by list' },
        { id: 4, title: 'idea', ...open, place: 'nowhere', later: 'idea by list' },
      ]);
      expect((await issues.request('retrieve', { pk: 1 })).data).to.deep.equal(crash('retrieve'));
    });
    expect(made).to.equal(0);
  });

  it('is called with the whole entity where a write has made one', async () => {
    const { data } = await issues.request('patch', { pk: 1, data: { title: 'Crash' } });
    expect(data).to.deep.equal(crash('patch', 'Crash'));
  });

  it('shows events as retrieve shows the row', async () => {
    await issues.request('subscribe_instance', { pk: 1, request_id: 's' });
    await issues.request('patch', { pk: 1, data: { title: 'Crash' } });
    expect(await issues.receive()).to.deep.include({ action: 'update', data: crash('retrieve', 'Crash') });
  });

  for (const { reads, text } of [
    {
      reads: 'project',
      text: 'PlaceSerializer.place: says that it reads "project", and Issue.project is a relation. Name a column of it: "project.id".',
    },
    {
      reads: 'project.nam',
      text: 'PlaceSerializer.place: says that it reads "project.nam", and Project.nam is no column. Name columns, and columns of relations: "room.name".',
    },
  ]) {
    it(`is refused at start-up where it says ${reads}`, () => {
      @injectable()
      class PlaceSerializer extends ModelSerializer(Issue, {
        fields: ['id'],
        computed: ['place'],
        reads: { place: [reads as 'project.name'] },
      }) {
        place() {
          return '';
        }
      }
      @Consumer()
      class PlaceConsumer extends mix(ModelConsumer(Issue, { serializer: PlaceSerializer }), List) {}
      expect(() => serve([path('/', PlaceConsumer)], { orm: database.orm })).to.throw(text);
    });
  }

  it('fails with the relation that it needs where it does not say so', async () => {
    @injectable()
    class TeamSerializer extends ModelSerializer(Issue, { fields: ['id'], computed: ['team'] }) {
      team({ project }: Issue) {
        return project?.team.name.toUpperCase();
      }
    }
    @Consumer()
    class TeamConsumer extends mix(ModelConsumer(Issue, { serializer: TeamSerializer }), Retrieve) {}
    const { app, logger } = serve([path('/', TeamConsumer)], { orm: database.orm });
    const client = await connect(app, '/');

    expect(await client.request('retrieve', { pk: 1 })).to.deep.include({ response_status: 500 });
    expect(logger.at('error').map(({ fields }) => String(fields['error']))).to.deep.equal([
      'ConfigurationError: TeamSerializer.team: failed on a row of Issue whose project, labels, note are not loaded: ' +
        "Cannot read properties of undefined (reading 'name') " +
        "Declare what it reads: reads: { team: ['project.…'] }, or name the relations that it needs in populate.",
    ]);
  });
});
