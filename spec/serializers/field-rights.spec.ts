import { EntityManager, type Rel, ref } from '@mikro-orm/core';
import { Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ActionContext,
  type App,
  Consumer,
  Create,
  createApp,
  GroupsForBoth,
  GroupsForConsumer,
  GroupsForSignal,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  RevokedBy,
  type Rights,
  reply,
  type SerializerContext,
  type Subscription,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';

@Entity()
class Employee {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  name!: string;

  @Property({ type: 'integer', default: 1 })
  department: number = 1;

  @Property({ type: 'integer', nullable: true })
  salary?: number | null;
}

@Entity()
class Badge {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  code!: string;

  @ManyToOne(() => Employee)
  owner!: Rel<Employee>;
}

@Entity()
class Role {
  @PrimaryKey({ type: 'string' })
  person!: string;

  @Property({ type: 'string' })
  rights!: string;
}

let asked: string[] = [];
let serialized: string[] = [];
let grouped: (number | null | undefined)[] = [];

/** From the database where a role is written down, else from the address. */
@injectable()
class StaffRights implements Rights<'hr' | 'lead'> {
  constructor(private readonly em: EntityManager) {}

  async rightsOf({ scope, kwargs }: ActionContext) {
    const person = scope.query.get('name') ?? '';
    asked.push(person);
    const role = await this.em.findOne(Role, { person });
    const rights = role?.rights ?? scope.query.get('rights') ?? kwargs['rights'];
    return rights as 'hr' | 'lead' | undefined;
  }
}

@injectable()
class EmployeeSerializer extends ModelSerializer(Employee, {
  fields: ['id', 'name', 'salary'],
  readOnly: ['id'],
  computed: ['review'],
  rights: { by: StaffRights, fields: { salary: 'hr', review: ['hr', 'lead'] } },
}) {
  review({ name }: Employee) {
    return `secret review of ${name}`;
  }
}

@injectable()
class PaySerializer extends ModelSerializer(Employee, {
  fields: ['name', 'salary'],
  rights: { by: StaffRights, fields: { salary: 'hr' } },
}) {
  override toData(employee: Employee, context: SerializerContext) {
    serialized.push(employee.name);
    return super.toData(employee, context);
  }
}

class DoorRights implements Rights<'guard'> {
  rightsOf({ scope }: ActionContext) {
    return scope.query.has('guard') ? 'guard' : undefined;
  }
}

@injectable()
class BadgeSerializer extends ModelSerializer(Badge, {
  fields: ['id', 'code', 'owner'],
  nested: { owner: EmployeeSerializer },
  rights: { by: DoorRights, fields: { code: 'guard' } },
}) {}

@injectable()
class BareBadgeSerializer extends ModelSerializer(Badge, { fields: ['id', 'owner'] }) {}

@Consumer()
class BadgeConsumer extends mix(ModelConsumer(Badge, { serializer: BadgeSerializer }), Retrieve, ObserveInstance) {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action()
  async plain() {
    const owner = { id: 1, name: 'x', department: 1, salary: 7000, review: 'secret' };
    return reply({ id: 9, code: 'secret', owner }, { serializer: BadgeSerializer });
  }

  @Action()
  async plainOwned() {
    const owner = await this.em.findOneOrFail(Employee, 1);
    const badge = { id: 9, code: 'secret', owner };
    if (this.scope.query.has('bare')) return reply(badge, { serializer: BareBadgeSerializer });
    return reply(badge, { serializer: BadgeSerializer });
  }
}

class Found {
  constructor(readonly employee: Employee) {}
}

class DepartmentKey {
  @IsInt() department!: number;
}

@Consumer()
class StaffConsumer extends mix(
  ModelConsumer(Employee, { serializer: EmployeeSerializer }),
  List,
  Retrieve,
  Create,
  Patch,
  ObserveInstance,
) {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action()
  async wrapped({ kwargs }: ActionContext): Promise<unknown> {
    const employee = await this.em.findOneOrFail(Employee, 1);
    const ways: Record<string, unknown> = {
      reference: ref(employee),
      'reference inside': { employee: ref(employee) },
      'references in a list': [ref(employee), { at: 1 }],
      'an object of a class': new Found(employee),
      'a promise inside': { employee: Promise.resolve(employee) },
    };
    return ways[String(kwargs['way'])];
  }

  @Action()
  async plain() {
    const plain = { id: 1, name: 'x', department: 1, salary: 7000, review: 'secret' };
    return reply(plain, { serializer: EmployeeSerializer });
  }

  @Action({ status: 201 })
  async follow({ department }: DepartmentKey, context: ActionContext) {
    await this.subscribe(this.onEmployee, { department }, context);
  }

  @ModelObserver(() => Employee, { serializer: EmployeeSerializer })
  async onEmployee(event: ModelEvent<EmployeeSerializer>, subscription: Subscription<DepartmentKey>) {
    await subscription.send(event);
  }

  @GroupsForBoth('onEmployee')
  protected *groupsOfDepartment({ department }: Employee | DepartmentKey) {
    yield `department-${department}`;
  }
}

@Consumer()
class PayConsumer extends StaffConsumer {
  @Action({ status: 201 })
  async followPay(context: ActionContext) {
    await this.subscribe(this.onPay, {}, context);
  }

  @ModelObserver(() => Employee, { serializer: PaySerializer })
  async onPay(event: ModelEvent<PaySerializer>, subscription: Subscription) {
    await subscription.send(event);
  }

  @GroupsForSignal('onPay')
  protected *groupsOfPay({ department, salary }: Employee) {
    grouped.push(salary);
    yield `pay-${department}`;
  }

  @GroupsForConsumer('onPay')
  protected *followedPay() {
    yield 'pay-1';
  }
}

@Consumer()
class GuardedConsumer extends StaffConsumer {
  @RevokedBy('onEmployee', () => Role)
  protected *everyDepartment() {
    yield 'department-1';
  }
}

@Consumer()
class NarrowedConsumer extends StaffConsumer {
  protected override getQuery() {
    return { department: 1 };
  }
}

describe('Fields with rights', () => {
  const database = useDatabase('field_rights', [Employee, Badge, Role]);
  let app: App;

  beforeEach(async () => {
    asked = [];
    serialized = [];
    grouped = [];
    await database.orm.em.execute(`insert into employee (name, department, salary) values ('ann', 1, 7000)`);
    app = application();
  });
  afterEach(() => app.close());

  function application(): App {
    const routes = [
      path('/ws/', StaffConsumer),
      path('/pay/', PayConsumer),
      path('/guarded/', GuardedConsumer),
      path('/narrowed/', NarrowedConsumer),
      path('/badges/', BadgeConsumer),
    ];
    return createApp({ orm: database.orm, routes });
  }

  async function save(values: Partial<Employee>): Promise<void> {
    const em = database.orm.em.fork();
    em.assign(await em.findOneOrFail(Employee, 1), values);
    await em.flush();
  }

  async function following(url: string, kwargs: object = {}): Promise<TestConnection> {
    const connection = await connect(app, url);
    const frame = { department: 1, request_id: 7, ...kwargs };
    expect(await connection.request('follow', frame)).to.include({ response_status: 201 });
    return connection;
  }

  const least = { id: 1, name: 'ann' };
  const whole = { ...least, salary: 7000, review: 'secret review of ann' };

  for (const { rights, seen } of [
    { rights: 'none', seen: least },
    { rights: 'lead', seen: { ...least, review: 'secret review of ann' } },
    { rights: 'hr', seen: whole },
    { rights: '__proto__', seen: least },
    { rights: 'constructor', seen: least },
  ]) {
    it(`are in replies and events as the rights "${rights}" show them`, async () => {
      await using connection = await following(`/ws/?rights=${rights}`);
      expect(await connection.request('retrieve', { pk: 1 })).to.deep.include({ data: seen });
      expect(await connection.request('list')).to.deep.include({ data: [seen] });
      await connection.request('subscribe_instance', { pk: 1, request_id: 8 });
      await save({ department: 2 });
      await save({ department: 1 });
      const frames = await Promise.all([1, 2, 3, 4].map(() => connection.receive()));
      expect(frames.map(({ action, request_id, data }) => ({ action, request_id, data }))).to.have.deep.members([
        { action: 'delete', request_id: 7, data: { pk: 1 } },
        { action: 'update', request_id: 8, data: seen },
        { action: 'create', request_id: 7, data: seen },
        { action: 'update', request_id: 8, data: seen },
      ]);
    });
  }

  it('are left out of plain data too, where a serializer is asked to show it', async () => {
    await using member = await connect(app, '/ws/');
    await using hr = await connect(app, '/ws/?rights=hr');
    expect(await member.request('plain')).to.deep.include({ data: { id: 1, name: 'x' } });
    expect(await hr.request('plain')).to.deep.include({ data: { id: 1, name: 'x', salary: 7000, review: 'secret' } });
  });

  for (const [way, shown] of [
    ['reference', { id: 1, name: 'ann' }],
    ['reference inside', { employee: { id: 1, name: 'ann' } }],
    ['references in a list', [{ id: 1, name: 'ann' }, { at: 1 }]],
    ['an object of a class', { employee: { id: 1, name: 'ann' } }],
    ['a promise inside', { employee: { id: 1, name: 'ann' } }],
  ] as const) {
    it(`are left out of a row that is wrapped: ${way}`, async () => {
      await using member = await connect(app, '/ws/');
      expect(await member.request('wrapped', { way })).to.deep.include({ data: shown });
    });
  }

  it('are left out of plain data that stand in plain data, and of rows that do', async () => {
    await using member = await connect(app, '/badges/');
    await using bare = await connect(app, '/badges/?bare');
    await using hr = await connect(app, '/badges/?rights=hr&guard');
    expect(await member.request('plain')).to.deep.include({ data: { id: 9, owner: { id: 1, name: 'x' } } });
    expect(await member.request('plain_owned')).to.deep.include({ data: { id: 9, owner: { id: 1, name: 'ann' } } });
    expect(await bare.request('plain_owned')).to.deep.include({ data: { id: 9, owner: 1 } });
    expect(await hr.request('plain')).to.deep.include({
      data: { id: 9, code: 'secret', owner: { id: 1, name: 'x', salary: 7000, review: 'secret' } },
    });
  });

  it('are accepted only from clients that see them', async () => {
    await using member = await connect(app, '/ws/');
    await using hr = await connect(app, '/ws/?rights=hr');
    expect(await member.request('patch', { pk: 1, data: { name: 'anna', salary: 1 } })).to.deep.include({
      data: { id: 1, name: 'anna' },
    });
    expect(await hr.request('retrieve', { pk: 1 })).to.have.nested.property('data.salary', 7000);
    expect(await hr.request('patch', { pk: 1, data: { salary: 8000 } })).to.have.nested.property('data.salary', 8000);
    expect(await member.request('create', { data: { name: 'bob', salary: 1 } })).to.include({ response_status: 201 });
    expect(await hr.request('retrieve', { pk: 2 })).to.have.nested.property('data.salary', null);
  });

  it('are serialized once for each of the rights, and a row has its groups asked for once, however many subscribe; rights are asked for once per subscription', async () => {
    const urls = Array.from({ length: 200 }, (_, index) => `/pay/?name=${index}${index % 2 ? '&rights=hr' : ''}`);
    const connections: TestConnection[] = [];
    for (const url of urls) connections.push(await connect(app, url));
    for (const each of connections)
      expect(await each.request('follow_pay', { request_id: 7 })).to.include({ response_status: 201 });
    await save({ salary: 9999 });
    const frames = await Promise.all(connections.map((connection) => connection.receive()));
    expect(serialized).to.deep.equal(['ann', 'ann']);
    expect(grouped, 'of the row before, and of the row after').to.deep.equal([7000, 9999]);
    expect(asked).to.have.lengthOf(200);
    for (const [index, { data }] of frames.entries())
      expect(data).to.deep.equal(index % 2 ? { name: 'ann', salary: 9999 } : { name: 'ann' });
    await Promise.all(connections.map((connection) => connection[Symbol.asyncDispose]()));
  });

  for (const { url, seen } of [
    { url: '', seen: { id: 1, owner: least } },
    { url: '?guard', seen: { id: 1, code: 'secret', owner: least } },
    { url: '?rights=hr', seen: { id: 1, owner: whole } },
    { url: '?rights=hr&guard', seen: { id: 1, code: 'secret', owner: whole } },
  ]) {
    it(`of a nested serializer go by its own provider: /badges/${url}`, async () => {
      const em = database.orm.em.fork();
      const badge = em.create(Badge, { code: 'old', owner: 1 });
      await em.flush();
      await using connection = await connect(app, `/badges/${url}`);
      await connection.request('subscribe_instance', { pk: 1, request_id: 8 });
      badge.code = 'secret';
      await em.flush();
      expect(await connection.receive()).to.deep.include({ action: 'update', data: seen });
      expect(await connection.request('retrieve', { pk: 1 })).to.deep.include({ data: seen });
    });
  }

  it('tell a group that a row left nothing of what it is now', async () => {
    await using hr = await following('/ws/?rights=hr');
    await save({ department: 2, name: 'moved', salary: 9999 });
    expect(await hr.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
    await hr.expectSilence();
    expect(JSON.stringify(hr.frames)).not.to.match(/moved|9999/);
  });

  it('go by the rights of the request that subscribed, where one request id stands for several', async () => {
    await using lead = await following('/ws/', { rights: 'lead' });
    expect(await lead.request('follow', { department: 2, request_id: 7 })).to.include({ response_status: 201 });
    await save({ name: 'anna' });
    expect(await lead.receive()).to.deep.include({ data: { id: 1, name: 'anna', review: 'secret review of anna' } });
    await save({ department: 2, name: 'ann' });
    expect(await lead.receive()).to.deep.include({ action: 'update', data: least });
    await save({ name: 'anna' });
    expect(await lead.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'anna' } });
  });

  it('are those of a row as the query sees it now', async () => {
    await using member = await connect(app, '/narrowed/');
    await using lead = await connect(app, '/narrowed/?rights=lead');
    for (const one of [member, lead]) await one.request('subscribe_instance', { pk: 1, request_id: 8 });
    await save({ salary: 1 });
    expect(await member.receive()).to.deep.include({ action: 'update', data: least });
    expect(await lead.receive()).to.deep.include({ data: { ...least, review: 'secret review of ann' } });
  });

  it('are asked for again as @RevokedBy says: nothing of the commit that took the rights away is shown by them', async () => {
    const become = async (rights: string, salary: number) => {
      await database.orm.em.fork().transactional(async (em) => {
        (await em.findOneOrFail(Employee, 1)).salary = salary;
        await em.flush();
        await em.upsert(Role, { person: 'lea', rights });
      });
    };
    await become('hr', 1);
    await using lea = await following('/guarded/?name=lea');
    await save({ salary: 2 });
    expect(await lea.receive()).to.have.nested.property('data.salary', 2);
    await become('none', 9999);
    expect(await lea.receive()).to.deep.include({ action: 'update', data: least });
    await lea.expectSilence();
    await become('hr', 3);
    expect(await lea.receive()).to.have.nested.property('data.salary', 3);
    expect(JSON.stringify(lea.frames)).not.to.contain('9999');
  });

  it('are those of now for a subscription of a row, as retrieve shows it', async () => {
    const become = (rights: string) => database.orm.em.fork().upsert(Role, { person: 'lea', rights });
    await become('hr');
    await using lea = await connect(app, '/ws/?name=lea');
    await lea.request('subscribe_instance', { pk: 1, request_id: 8 });
    await become('none');
    await save({ salary: 9999 });
    expect(await lea.receive()).to.deep.include({ action: 'update', data: least });
    await become('hr');
    await save({ salary: 7000 });
    expect(await lea.receive()).to.deep.include({ action: 'update', data: whole });
  });

  it('are no fields to filter, order or look up by', () => {
    @Consumer()
    class CuriousConsumer extends mix(
      ModelConsumer(Employee, { serializer: EmployeeSerializer, filters: { ordering: ['salary'] } }),
      List,
    ) {}
    expect(() => createApp({ orm: database.orm, routes: [path('/ws/', CuriousConsumer)] })).to.throw(
      'CuriousConsumer.salary: is only shown with a right, but every client could find it out by filters, order, search or lookup. Remove it from them, and let filterQuery decide which clients may ask for it.',
    );
  });

  it('have few enough rights for each event to be shown by every one of them', () => {
    class Many implements Rights {
      rightsOf() {
        return 'a';
      }
    }

    @injectable()
    class ManySerializer extends ModelSerializer(Employee, {
      fields: ['id', 'name'],
      rights: { by: Many, fields: { name: Array.from({ length: 16 }, (_, index) => `r${index}`) } },
    }) {}

    @Consumer()
    class ManyConsumer extends mix(ModelConsumer(Employee, { serializer: ManySerializer }), ObserveInstance) {}

    expect(() => createApp({ orm: database.orm, routes: [path('/ws/', ManyConsumer)] })).to.throw(
      'ManySerializer.rights: would show each event in 17 ways, more than 16: one for every combination of rights. Let one provider decide the rights, with fewer names.',
    );
  });
});
