package statement

import "strings"

// understood are the messages of a raw parse tree that the walker knows: it handles them, or walking through them is all they need. A
// message that is in neither list makes a sheet incomplete, and TestEveryNodeIsKnown fail.
var understood = wordSet(`
	A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star AccessPriv Alias AlterCollationStmt AlterDatabaseRefreshCollStmt
	AlterDatabaseSetStmt AlterDatabaseStmt AlterDefaultPrivilegesStmt AlterDomainStmt AlterEnumStmt AlterEventTrigStmt
	AlterExtensionContentsStmt AlterExtensionStmt AlterFdwStmt AlterForeignServerStmt AlterFunctionStmt AlterObjectDependsStmt
	AlterObjectSchemaStmt AlterOperatorStmt AlterOpFamilyStmt AlterOwnerStmt AlterPolicyStmt AlterPublicationStmt AlterRoleSetStmt
	AlterRoleStmt AlterSeqStmt AlterStatsStmt AlterSubscriptionStmt AlterSystemStmt AlterTableCmd AlterTableMoveAllStmt AlterTableSpaceOptionsStmt
	AlterTableStmt AlterTSConfigurationStmt AlterTSDictionaryStmt AlterTypeStmt AlterUserMappingStmt BitString BoolExpr Boolean
	BooleanTest CTECycleClause CTESearchClause CallStmt CaseExpr CaseWhen CheckPointStmt ClosePortalStmt ClusterStmt CoalesceExpr
	CollateClause ColumnDef ColumnRef CommentStmt CommonTableExpr CompositeTypeStmt Constraint ConstraintsSetStmt CopyStmt
	CreateAmStmt CreateCastStmt CreateConversionStmt CreateDomainStmt CreateEnumStmt CreateEventTrigStmt CreateExtensionStmt
	CreateFdwStmt CreateForeignServerStmt CreateForeignTableStmt CreateFunctionStmt CreateOpClassItem CreateOpClassStmt
	CreateOpFamilyStmt CreatePLangStmt CreatePolicyStmt CreatePublicationStmt CreateRangeStmt CreateRoleStmt CreateSchemaStmt
	CreateSeqStmt CreateStatsStmt CreateStmt CreateSubscriptionStmt CreateTableAsStmt CreateTableSpaceStmt CreateTransformStmt
	CreateTrigStmt CreateUserMappingStmt CreatedbStmt CurrentOfExpr DeallocateStmt DeclareCursorStmt DefElem DefineStmt DeleteStmt
	DiscardStmt DoStmt DropOwnedStmt DropRoleStmt DropStmt DropSubscriptionStmt DropTableSpaceStmt DropUserMappingStmt DropdbStmt
	ExecuteStmt ExplainStmt FetchStmt Float FuncCall FunctionParameter GrantRoleStmt GrantStmt GroupingFunc GroupingSet
	ImportForeignSchemaStmt IndexElem IndexStmt InferClause InsertStmt Integer IntoClause JoinExpr JsonAggConstructor JsonArgument
	JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor JsonBehavior JsonFormat JsonFuncExpr JsonIsPredicate JsonKeyValue
	JsonObjectAgg JsonObjectConstructor JsonOutput JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable
	JsonTableColumn JsonTablePathSpec JsonValueExpr List ListenStmt LoadStmt LockStmt LockingClause MergeStmt MergeSupportFunc
	MergeWhenClause MinMaxExpr MultiAssignRef NamedArgExpr NotifyStmt NullTest ObjectWithArgs OnConflictClause ParamRef
	PartitionBoundSpec PartitionCmd PartitionElem PartitionRangeDatum PartitionSpec PrepareStmt PublicationObjSpec PublicationTable
	RangeFunction RangeSubselect RangeTableFunc RangeTableFuncCol RangeTableSample RangeVar RawStmt ReassignOwnedStmt
	RefreshMatViewStmt ReindexStmt RenameStmt ReplicaIdentityStmt ResTarget ReturnStmt RoleSpec RowExpr RuleStmt SQLValueFunction
	SecLabelStmt SelectStmt SetToDefault SinglePartitionSpec SortBy StatsElem String SubLink TableLikeClause TransactionStmt
	TriggerTransition TruncateStmt TypeCast TypeName UnlistenStmt UpdateStmt VacuumRelation VacuumStmt VariableSetStmt
	VariableShowStmt ViewStmt WindowDef WithClause XmlExpr XmlSerialize
`)

// neverRaw are the messages that only parse analysis, the planner or PL/pgSQL make. They never come out of the grammar; should one, the
// sheet is incomplete.
var neverRaw = wordSet(`
	Aggref AlternativeSubPlan ArrayCoerceExpr ArrayExpr CallContext CaseTestExpr CoerceToDomain CoerceToDomainValue CoerceViaIO
	CollateExpr ConvertRowtypeExpr DistinctExpr FieldSelect FieldStore FromExpr FuncExpr InferenceElem InlineCodeBlock IntList
	JsonConstructorExpr JsonExpr JsonTablePath JsonTablePathScan JsonTableSiblingJoin MergeAction NextValueExpr NullIfExpr OidList
	OnConflictExpr OpExpr PLAssignStmt Param Query RTEPermissionInfo RangeTblEntry RangeTblFunction RangeTblRef RelabelType
	RowCompareExpr RowMarkClause ScalarArrayOpExpr SetOperationStmt SortGroupClause SubPlan SubscriptingRef TableFunc
	TableSampleClause TargetEntry Var WindowClause WindowFunc WindowFuncRunCondition WithCheckOption
`)

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}
