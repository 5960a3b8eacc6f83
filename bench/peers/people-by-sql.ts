import pg from 'pg';
import type { NewPerson, People, PersonPatch } from './people.js';
import { databaseUrl, poolSize } from './serve.js';

const columns = 'id, name, email, city, age, active, joined';

/** Statements prepared by name, on as many connections as MikroORM's pool has. */
export async function peopleBySql(): Promise<People> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: poolSize });
  const query = async (name: string, text: string, values: unknown[]) =>
    (await pool.query({ name, text, values })).rows;
  return {
    retrieve: async (id) => (await query('retrieve', `select ${columns} from person where id = $1`, [id]))[0],
    list: (limit, offset) =>
      query('list', `select ${columns} from person order by id limit $1 offset $2`, [limit, offset]),
    count: async () => (await query('count', 'select count(*)::int as count from person', []))[0].count,
    patch: async (id, { email, age }: PersonPatch) => {
      const text = `update person set email = $2, age = $3 where id = $1 returning ${columns}`;
      return (await query('patch', text, [id, email, age]))[0];
    },
    create: async ({ name, email, city, age, active }: NewPerson) => {
      const text = `insert into person (name, email, city, age, active) values ($1, $2, $3, $4, $5) returning ${columns}`;
      return (await query('create', text, [name, email, city, age, active]))[0];
    },
    delete: async (id) => (await query('delete', 'delete from person where id = $1 returning id', [id])).length > 0,
  };
}
