// KECCAK_ROUNDS is Keccak-f[1600] over any type that holds one 64-bit lane, or
// one lane of several states side by side.
//
//	T              the lane type; st an array of 25 of them, A[x + 5y]
//	XOR(a, b)      a ⊕ b
//	ROTL(a, n)     rotation left by a constant 1 … 63
//	CHI(a, b, c)   a ⊕ (¬b ∧ c)
//	RC(x)          a 64-bit round constant as a T
//
// θ, ρ and π run in one pass along the 24-cycle of lane positions that π
// walks; χ and ι follow row by row.
#ifndef ASSAY_CN_KECCAK_H
#define ASSAY_CN_KECCAK_H

#define KECCAK_RHO_PI(st, ROTL, t, u, to, n) \
	u = st[to];                              \
	st[to] = ROTL(t, n);                     \
	t = u;

#define KECCAK_ROUNDS(T, st, XOR, ROTL, CHI, RC)                                               \
	for (unsigned round_ = 0; round_ < 24; round_++) {                                         \
		T c_[5], t_, u_;                                                                       \
		_Pragma("GCC unroll 5") for (unsigned x = 0; x < 5; x++)                               \
			c_[x] = XOR(XOR(XOR(st[x], st[x + 5]), XOR(st[x + 10], st[x + 15])), st[x + 20]);  \
		_Pragma("GCC unroll 5") for (unsigned x = 0; x < 5; x++) {                             \
			t_ = XOR(c_[(x + 4) % 5], ROTL(c_[(x + 1) % 5], 1));                               \
			_Pragma("GCC unroll 5") for (unsigned y = 0; y < 25; y += 5)                       \
				st[y + x] = XOR(st[y + x], t_);                                                \
		}                                                                                      \
		t_ = st[1];                                                                            \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 10, 1)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 7, 3)                                                  \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 11, 6)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 17, 10)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 18, 15)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 3, 21)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 5, 28)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 16, 36)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 8, 45)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 21, 55)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 24, 2)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 4, 14)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 15, 27)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 23, 41)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 19, 56)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 13, 8)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 12, 25)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 2, 43)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 20, 62)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 14, 18)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 22, 39)                                                \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 9, 61)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 6, 20)                                                 \
		KECCAK_RHO_PI(st, ROTL, t_, u_, 1, 44)                                                 \
		_Pragma("GCC unroll 5") for (unsigned y = 0; y < 25; y += 5) {                         \
			const T r0_ = st[y], r1_ = st[y + 1], r2_ = st[y + 2], r3_ = st[y + 3], r4_ = st[y + 4]; \
			st[y] = CHI(r0_, r1_, r2_);                                                        \
			st[y + 1] = CHI(r1_, r2_, r3_);                                                    \
			st[y + 2] = CHI(r2_, r3_, r4_);                                                    \
			st[y + 3] = CHI(r3_, r4_, r0_);                                                    \
			st[y + 4] = CHI(r4_, r0_, r1_);                                                    \
		}                                                                                      \
		st[0] = XOR(st[0], RC(assay_cn_keccak_rc[round_]));                                    \
	}

#endif
