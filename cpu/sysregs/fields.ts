/** Where the registers that several tables look at stand, as indices into a 32-bit view of machine memory. */
import { stateWord } from '../state.js'

/** PSTATE.EL. */
export const EL = stateWord('el')
