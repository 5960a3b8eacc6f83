import type { ConcreteClass } from '../metadata.js';
import type { ActionContext } from '../scope/action-context.js';

/**
 * A provider that says which rights a request has, by a name: serializers show fields by it (`rights`).
 *
 * ```ts
 * @injectable()
 * class StaffRights implements Rights<'hr' | 'lead'> {
 *   constructor(private readonly em: EntityManager) {}
 *   async rightsOf({ scope }: ActionContext) { return (await this.em.findOne(Staff, { user: scope.user }))?.rights; }
 * }
 * ```
 */
export interface Rights<Name extends string = string> {
  /**
   * Asked once per request, and once per subscription with the request that subscribed; again when `@RevokedBy` says so, and
   * without it for each event of a subscription of a row.
   * Undefined is the least: the fields that need no rights.
   */
  rightsOf(context: ActionContext): Name | undefined | Promise<Name | undefined>;
}

/** What `rights.by` of a model serializer takes: the container makes an instance. */
export type RightsProvider = ConcreteClass<Rights>;

/** The names that a provider of rights may give. */
export type RightsNameOf<Provider> =
  Provider extends ConcreteClass<infer Instance extends Rights>
    ? Exclude<Awaited<ReturnType<Instance['rightsOf']>>, undefined>
    : never;

/** What providers said. Of one that was not asked, the least. */
export type GivenRights = ReadonlyMap<RightsProvider, string | undefined>;
