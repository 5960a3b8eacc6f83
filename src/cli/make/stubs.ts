import type { EntitySource } from './entity-source.js';
import type { Names } from './names.js';

/**
 * The texts of the files that `signalbox make:…` writes. They are what a person would write by hand in the layout of the templates:
 * `src/<plural>/`, `src/entities/`, `src/permissions/`, and the same folders below `spec/`.
 */

export function entityStub({ pascal }: Names): string {
  return `import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Length } from 'class-validator';

@Entity()
export class ${pascal} {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  /** The rule is checked whenever a client sends a name. */
  @Length(1, 200)
  @Property({ type: 'string', length: 200 })
  name!: string;
}
`;
}

export function migrationStub({ snake, plural }: Names): string {
  return `import { Migration } from '@mikro-orm/migrations';

export class Create${plural.pascal} extends Migration {
  override up(): void {
    this.addSql(\`
      create table "${snake}" (
        "id" serial primary key,
        "name" varchar(200) not null
      )\`);
  }

  override down(): void {
    this.addSql('drop table "${snake}"');
  }
}
`;
}

export function entitySpecStub({ pascal, kebab, camel, snake }: Names): string {
  return `import type { MikroORM } from '@mikro-orm/core';
import { expect } from 'chai';
import { ${pascal} } from '../../src/entities/${kebab}.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';

describe('${pascal}', () => {
  let orm: MikroORM;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    ({ orm } = await sharedDatabase());
  });

  it('has the table that the migrations make', async () => {
    const difference = await orm.schema.getUpdateSchemaSQL({ wrap: false });
    expect(difference).to.not.contain('"${snake}"');
  });

  it('is stored and read', async () => {
    const em = orm.em.fork();
    const ${camel} = em.create(${pascal}, { name: 'some text' });
    await em.flush();
    expect(await orm.em.fork().findOneOrFail(${pascal}, ${camel}.id)).to.include({ name: 'some text' });
  });
});
`;
}

export function serializerStub({ names: { pascal, kebab }, key, fields }: EntitySource): string {
  return `import { ModelSerializer } from 'signalbox';
import { injectable } from 'tsyringe';
import { ${pascal} } from '../entities/${kebab}.js';

/** The fields of ${pascal} that clients see, and may send. */
@injectable()
export class ${pascal}Serializer extends ModelSerializer(${pascal}, {
  fields: [${fields.map(quoted).join(', ')}],
  readOnly: ['${key}'],
}) {}
`;
}

export function serializerSpecStub(entity: EntitySource): string {
  const { pascal, kebab, plural, text } = entity.names;
  const fact = entity.required
    ? `  it('shows these fields of a ${text}', async () => {
    await using client = await connect(app, '/');
    const { data } = await client.request('create', { data: ${jsonOf(entity.required)} });
    expect(data).to.have.all.keys(${entity.fields.map(quoted).join(', ')});
  });`
    : listFact(plural.text);
  return `import { expect } from 'chai';
import { type App, Consumer, Create, createApp, List, ModelConsumer, mix, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { ${pascal} } from '../../src/entities/${kebab}.js';
import { ${pascal}Serializer } from '../../src/${plural.kebab}/${kebab}-serializer.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';

describe('${pascal}Serializer', () => {
  @Consumer()
  class Shown extends mix(ModelConsumer(${pascal}, { serializer: ${pascal}Serializer }), List, Create) {}

  let app: App;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    const { orm } = await sharedDatabase();
    app = createApp({ orm, routes: [path('/', Shown)] });
  });
  after(() => app.close());

${fact}
});
`;
}

export function modelConsumerStub({ pascal, text }: Names, { names: model }: EntitySource, isGuarded: boolean): string {
  return `import {
  Consumer,
  Create,
  Delete,
${isGuarded ? '  IsAuthenticated,\n' : ''}  List,
  ModelConsumer,
  mix,
  ObserveInstance,
  Patch,
${isGuarded ? '  Permissions,\n' : ''}  Retrieve,
} from 'signalbox';
import { ${model.pascal} } from '../entities/${model.kebab}.js';
import { ${model.pascal}Serializer } from '../${model.plural.kebab}/${model.kebab}-serializer.js';

/** The actions of clients on ${text === model.text ? model.plural.text : `${model.plural.text}, as ${text}`}. Mixins that are not listed here do not exist. */
@Consumer()
${isGuarded ? '@Permissions(IsAuthenticated)\n' : ''}export class ${pascal}Consumer extends mix(
  ModelConsumer(${model.pascal}, { serializer: ${model.pascal}Serializer }),
  List,
  Retrieve,
  Create,
  Patch,
  Delete,
  ObserveInstance,
) {}
`;
}

export function modelConsumerSpecStub(
  names: Names,
  folder: string,
  { required, key, names: model }: EntitySource,
  isGuarded: boolean,
): string {
  const fact = required
    ? `  it('creates, retrieves, changes and deletes ${model.plural.text}', async () => {
    await using client = await ${connection(isGuarded)};
    const { data, response_status } = await client.request('create', { data: ${jsonOf(required)} });
    expect(response_status).to.equal(201);
    const { ${key}: pk } = data as ${model.pascal};
    expect((await client.request('retrieve', { pk })).data).to.deep.equal(data);
    expect(await client.request('patch', { pk, data: ${jsonOf(required)} })).to.include({ response_status: 200 });
    expect(await client.request('delete', { pk })).to.include({ response_status: 204 });
    expect(await client.request('retrieve', { pk })).to.include({ response_status: 404 });
  });`
    : listFact(model.plural.text, isGuarded);
  const imports = required ? `import type { ${model.pascal} } from '../../src/entities/${model.kebab}.js';\n` : '';
  return consumerSpec(names, folder, imports, fact);
}

export function plainConsumerStub({ pascal }: Names, isGuarded: boolean): string {
  return `import { Length } from 'class-validator';
import { Action, ApiConsumer, Consumer${isGuarded ? ', IsAuthenticated, Permissions' : ''} } from 'signalbox';

export class Echo {
  @Length(1, 200)
  text!: string;
}

@Consumer()
${isGuarded ? '@Permissions(IsAuthenticated)\n' : ''}export class ${pascal}Consumer extends ApiConsumer {
  /** \`{"action": "echo", "request_id": 1, "text": "hi"}\` is answered with \`"data": {"text": "hi"}\`. */
  @Action()
  async echo({ text }: Echo) {
    return { text };
  }
}
`;
}

export function plainConsumerSpecStub(names: Names, folder: string, isGuarded: boolean): string {
  return consumerSpec(
    names,
    folder,
    '',
    `  it('answers with the text that was sent', async () => {
    await using client = await ${connection(isGuarded)};
    expect(await client.request('echo', { text: 'hi' })).to.deep.include({ response_status: 200, data: { text: 'hi' } });
  });

  it('refuses an empty text', async () => {
    await using client = await ${connection(isGuarded)};
    expect(await client.request('echo', { text: '' })).to.include({ response_status: 400 });
  });`,
  );
}

export function permissionStub({ pascal }: Names): string {
  return `import type { ActionContext, Permission } from 'signalbox';
import { injectable } from 'tsyringe';

/** Use it as \`@Permissions(${pascal})\` on a consumer, or in \`permissions\` of an action. Its constructor may be injected. */
@injectable()
export class ${pascal} implements Permission {
  /** Called before each action, and again for subscriptions, because the answer may have changed. */
  async hasPermission({ scope }: ActionContext): Promise<boolean> {
    return scope.identity !== undefined;
  }
}
`;
}

export function permissionSpecStub({ pascal, kebab }: Names): string {
  return `import { expect } from 'chai';
import { Action, type App, ApiConsumer, Consumer, createApp, Permissions, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { ${pascal} } from '../../src/permissions/${kebab}.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';

describe('${pascal}', () => {
  @Consumer()
  @Permissions(${pascal})
  class Guarded extends ApiConsumer {
    @Action()
    async enter() {
      return 'inside';
    }
  }

  let app: App;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    const { orm } = await sharedDatabase();
    app = createApp({ orm, routes: [path('/', Guarded)] });
  });
  after(() => app.close());

  it('lets in who is known', async () => {
    await using client = await connect(app, '/', { identity: { userId: '1' } });
    expect(await client.request('enter')).to.include({ response_status: 200, data: 'inside' });
  });

  it('refuses everyone else', async () => {
    await using client = await connect(app, '/');
    expect(await client.request('enter')).to.include({ response_status: 403, data: null });
  });
});
`;
}

export function observerStub({ pascal }: Names, { names: model, key }: EntitySource, isGuarded: boolean): string {
  return `import { IsInt, IsOptional } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  GroupsForConsumer,
  GroupsForSignal,
${isGuarded ? '  IsAuthenticated,\n' : ''}  type ModelEvent,
  ModelObserver,
${isGuarded ? '  Permissions,\n' : ''}  type Subscription,
} from 'signalbox';
import { ${model.pascal} } from '../entities/${model.kebab}.js';
import { ${model.pascal}Serializer } from '../${model.plural.kebab}/${model.kebab}-serializer.js';

/** One ${model.text}, or all of them. */
export class Follow${model.pascal} {
  @IsOptional()
  @IsInt()
  ${model.camel}?: number;
}

/** Sends events of ${model.plural.text} that are created, changed or deleted. */
@Consumer()
${isGuarded ? '@Permissions(IsAuthenticated)\n' : ''}export class ${pascal}Consumer extends ApiConsumer {
  /** Subscribes the client to the changes. \`unsubscribe\` with the same request id ends that. */
  @Action({ status: 201 })
  async follow(wanted: Follow${model.pascal}, context: ActionContext) {
    await this.subscribe(this.on${model.pascal}, wanted, context);
  }

  /** Called for each committed change that concerns a subscription, never for one that was rolled back. */
  @ModelObserver(() => ${model.pascal}, { serializer: ${model.pascal}Serializer })
  async on${model.pascal}(event: ModelEvent<${model.pascal}Serializer>, subscription: Subscription<Follow${model.pascal}>) {
    await subscription.send(event);
  }

  /** The groups that a change of this row reaches. */
  @GroupsForSignal('on${model.pascal}')
  protected *groupsOfRow({ ${key} }: ${model.pascal}) {
    yield 'all';
    yield \`${model.kebab}-\${${key}}\`;
  }

  /** The group that a subscription listens to. */
  @GroupsForConsumer('on${model.pascal}')
  protected *groupOfSubscription({ ${model.camel} }: Follow${model.pascal}) {
    yield ${model.camel} === undefined ? 'all' : \`${model.kebab}-\${${model.camel}}\`;
  }
}
`;
}

export function observerSpecStub(
  names: Names,
  folder: string,
  { names: model, required, key, fields }: EntitySource,
  isGuarded: boolean,
): string {
  const fact = required
    ? `  it('sends each change to who follows it, and to nobody else', async () => {
    await using all = await ${connection(isGuarded)};
    await using other = await ${connection(isGuarded)};
    expect(await all.request('follow', { request_id: 7 })).to.include({ response_status: 201 });
    expect(await other.request('follow', { ${model.camel}: 0 })).to.include({ response_status: 201 });

    const em = orm.em.fork();
    const ${model.camel} = em.create(${model.pascal}, ${codeOf(required)});
    await em.flush();
    const created = await all.receive();
    expect(created).to.include({ action: 'create', request_id: 7 });
    expect(created.data).to.have.all.keys(${fields.map(quoted).join(', ')});

    const { ${key} } = ${model.camel};
    em.remove(${model.camel});
    await em.flush();
    expect(await all.receive()).to.deep.include({ action: 'delete', request_id: 7, data: { pk: ${key} } });
    await other.expectSilence();
  });`
    : `  it('answers that it follows', async () => {
    await using client = await ${connection(isGuarded)};
    expect(await client.request('follow')).to.include({ response_status: 201 });
  });`;
  const imports = required ? `import { ${model.pascal} } from '../../src/entities/${model.kebab}.js';\n` : '';
  return consumerSpec(names, folder, imports, fact, required !== undefined);
}

export function specStub({ text }: Names, application: string | undefined): string {
  if (application === undefined) {
    return `import type { MikroORM } from '@mikro-orm/core';
import { expect } from 'chai';
import { sharedDatabase, TIME_TO_OPEN } from './support/database.js';

describe('${text}', () => {
  let orm: MikroORM;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    ({ orm } = await sharedDatabase());
  });

  it('has a database', async () => {
    expect(await orm.isConnected()).to.equal(true);
  });
});
`;
  }
  return `import { expect } from 'chai';
import { createApplication } from '../${application}';
import { sharedDatabase, TIME_TO_OPEN } from './support/database.js';

describe('${text}', () => {
  let app: ReturnType<typeof createApplication>;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    const { orm } = await sharedDatabase();
    app = createApplication(orm);
  });
  after(() => app.close());

  it('has an application that is ready', async () => {
    expect(await app.readiness()).to.include({ isReady: true, database: true });
  });
});
`;
}

/** The spec of a consumer on a route of its own, without the rest of the application. */
function consumerSpec(
  { pascal, kebab }: Names,
  folder: string,
  imports: string,
  facts: string,
  needsOrm = false,
): string {
  return `${needsOrm ? "import type { MikroORM } from '@mikro-orm/core';\n" : ''}import { expect } from 'chai';
import { type App, createApp, path } from 'signalbox';
import { connect } from 'signalbox/testing';
${imports}import { ${pascal}Consumer } from '../../src/${folder}/${kebab}-consumer.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';

describe('${pascal}Consumer', () => {
${needsOrm ? '  let orm: MikroORM;\n' : ''}  let app: App;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    ${needsOrm ? '({ orm } = await sharedDatabase());' : 'const { orm } = await sharedDatabase();'}
    app = createApp({ orm, routes: [path('/', ${pascal}Consumer)] });
  });
  after(() => app.close());

${facts}
});
`;
}

function listFact(what: string, isGuarded = false): string {
  return `  it('lists ${what}', async () => {
    await using client = await ${connection(isGuarded)};
    expect(await client.request('list')).to.include({ response_status: 200 });
  });`;
}

function connection(isGuarded: boolean): string {
  return isGuarded ? `connect(app, '/', { identity: { userId: '1' } })` : `connect(app, '/')`;
}

function quoted(text: string): string {
  return `'${text}'`;
}

/** The values as JSON that a client sends. */
function jsonOf(values: ReadonlyMap<string, string>): string {
  const entries = [...values].map(([name, value]) => `${name}: ${value}`);
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}

/** The values as an entity holds them: dates are dates. */
function codeOf(values: ReadonlyMap<string, string>): string {
  return jsonOf(
    new Map([...values].map(([name, value]) => [name, value.replace(/^('\d{4}-.*T.*')$/, 'new Date($1)')])),
  );
}
