/*
 * binding.h: the roles that act for members, and what becomes of them.
 */
#ifndef MEDCHAIN_ACCESS_BINDING_H
#define MEDCHAIN_ACCESS_BINDING_H

/*
 * ledger_hooks.roles_due: may a role that acts for a member have been renamed or dropped, on any
 * database of the server, since the last time?  changed: so may the bindings.
 */
extern bool binding_due(bool changed);

/* ledger_hooks.settle_roles: put on the ledger what has become of them.  In a trusted scope. */
extern void binding_settle(void);

#endif
