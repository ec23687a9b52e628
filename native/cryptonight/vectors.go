package cryptonight

import "github.com/assay-pool/assay/native/algo"

// Public inputs of the self-test: block header blobs of 76 bytes from XMRig's
// CryptoNight_test.h and node-powhash, and a text of Monero's tests-slow-4.txt.
const (
	input0 = "0305a0dbd6bf05cf16e503f3a66f78007cbf34144332ecbfc22ed95c8700383b309ace1923a0" +
		"964b00000008ba939a62724c0d7581fce5761e9d8a0e6a1c3f924fdd8493d1115649c05eb601"
	input1 = "54686973206973206120746573742054686973206973" +
		"20612074657374205468697320697320612074657374"
)

// selfTest is one public vector.
type selfTest struct {
	algo   algo.ID
	input  string // hex
	height uint64
	hash   string // hex
}

// selfTests holds one public vector of each variant, from the same sources as
// testdata/vectors.json, which names them one by one. A function, so that the
// table cannot be changed.
func selfTests() []selfTest {
	return []selfTest{
		{algo.CN0, input0, 0, "1a3ffbee909b420d91f7be6e5fb56db71b3110d886011e877ee5786afd080100"},
		{algo.CN1, input0, 0, "f22d3d6203d2a08b41d9027278d8bcc983acada9b68e52e3c689692a50e921d9"},
		{algo.CNXTL, input0, 0, "8fe5f05f022a617de53f79364b25cbc3c08e0e1fe3be48570703fee1ec0eb0b1"},
		{algo.CNRTO, input0, 0, "82661e1c6e6436668406327a9bb11319a5561615dfec1c9ee3884a6c1ceb76a5"},
		{algo.CNFast, input0, 0, "3c7a61084c5eb865b498ab2f5a1ac52c49c177c2d0133442d65ed514335c82c5"},
		{algo.CNXAO, input0, 0, "9a29d0c4afdc639b6553b1c83735114c5d77162142975cb850c0a51f6407bd33"},
		{algo.CN2, input0, 0, "97378282cf10e7ad033f7b8074c40e14d06e7f609dddda787680b58c05f43d21"},
		{algo.CNHalf, input0, 0, "5d4fbc356097ea6440b0888edeb635ddc84a0e397c868456895c3f29be7312a7"},
		{algo.CNZLS, input0, 0, "516e33c6e446abbccdad18c04cd9a25e64102853b20a42dfdeaa8b599ecf40e2"},
		{algo.CNDouble, input0, 0, "aefbb3f0cc88046d119f6c54b96d90c9e884ea3b5983a60d50a42d7d3ebe4821"},
		{algo.CNRWZ, input0, 0, "5f56c6b0996ba23e0bba0729c99074855a10e3087fdbfe947533547376f075b8"},
		{algo.CNR, input1, 1806260, "f759588ad57e758467295443a9bd71490abff8e9dad1b95b6bf2f5d0d78387bc"},
		{algo.CNWOW, input1, 1806260, "9d47bf4c41b7e8e727e681715acb47fa1677cdba9ca7bcb05ad8cc8abd5daa66"},
		{algo.CNCCX, input0, 0, "b3a16786d2c985ecadc45f910527c7a196f0e1e97c8709381d7d419335f81672"},
		{algo.CNGPU, input0, 0, "e55cb23e51649a59b127b96b515f2bf7bfea199741a0216cf838ded06eff82df"},
		{algo.CNLite0, input0, 0, "3695b4b53bb00358b0ad38dc160feb9e004eece09b83a72ef6ba9864d3510c88"},
		{algo.CNLite1, input0, 0, "6d8cdc444e9bbbfd68fc43fcd4855b228c8a1bd91d9d00285bec02b7ca2d6741"},
		{algo.CNHeavy0, input0, 0, "9983f21bdf2010a8d707bb2f14d78664bbe1187f55014b39e5f3d69328e48fc2"},
		{algo.CNHeavyXHV, input0, 0, "5ac3f785c490c58550ec95d2726563577e7c1c212d0cde591273201e44fdd5b6"},
		{algo.CNHeavyTube, input0, 0, "fe53352076eae689fa3b4fda614634cfc312ee0c387df2b8b74da2a159741235"},
		{algo.CNPico, input0, 0, "08f421d7833117300eda66e98f4a2569093df300500173944efc401e9a4a17af"},
		{algo.CNPicoTLO, input0, 0, "9975f2c1b3b45434a49386213097f31bb4b9a6586a7e81f4429f6d5f65c38d1a"},
		{algo.CNUPX2, input0, 0, "aabbb8ed14a835fa22cfb1b5dea872b0a1d6cbd846f4391c0f01f3875e3a3761"},
	}
}
